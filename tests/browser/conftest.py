"""A browser for the tests of this folder, which are skipped where there is none."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One browser for all."""
    pytest.importorskip("playwright", reason="no playwright: make test installs it")
    from chromium import executable, started

    path = executable()
    if path is None:
        pytest.skip("no browser: apt-get install chromium fonts-dejavu-core")
    with started(path) as found:
        yield found


@pytest.fixture
def visit(browser: Any) -> Iterator[Open]:
    """Open a page: ``visit(address, width)``; see ``chromium.Visit``. Closed after the test."""
    from chromium import visit

    yield partial(visit, browser)
    for context in browser.contexts:
        context.close()
