"""How the tests of this folder open pages."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

Open = Callable[..., Any]


@pytest.fixture
def visit(browser: Any) -> Iterator[Open]:
    """Open a page: ``visit(address, width)``; see ``chromium.Visit``. Closed after the test."""
    from chromium import visit

    yield partial(visit, browser)
    for context in browser.contexts:
        context.close()
