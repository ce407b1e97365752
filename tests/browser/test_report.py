"""The report's page in a real browser: it asks nobody for anything, and the answer comes first."""

import sys
from pathlib import Path
from typing import Any

import pytest
from chromium import WIDTHS

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from large_sweep import large_sweep

from service.home import Home
from service.opened import open_sweep
from service.report import write_report

MOST_BYTES = 5_000_000


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a finished sweep of 1,000 trials."""
    path = tmp_path_factory.mktemp("report")
    home = Home(
        path=path,
        ledger_url=f"sqlite:///{path / 'ledger.db'}",
        tracking_uri=f"sqlite:///{path / 'mlflow.db'}",
        storage=str(path),
    )
    large_sweep(home, 1000)
    path = home.report("large")
    write_report(open_sweep("large", home), path)
    return path


@pytest.mark.parametrize("width", WIDTHS)
def test_question_answer_and_evidence_in_that_order(visit: Any, page: Path, width: int) -> None:
    assert page.stat().st_size < MOST_BYTES
    seen = visit(page.as_uri(), width)
    assert (seen.errors, seen.hosts) == ([], set())
    places = [
        seen.page.locator(what).first.bounding_box()["y"]
        for what in (".question", ".answer", "figure")
    ]
    assert places == sorted(places)
    # Question and answer are on the first screen, and nothing is wider than it.
    assert seen.page.locator(".answer .sentence").bounding_box()["y"] < 600
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    # Every figure says in words what it shows.
    figures = seen.page.locator("figure svg, figure img")
    assert figures.count() >= 6
    for place in range(figures.count()):
        found = figures.nth(place)
        assert (
            found.get_attribute("aria-label")
            or found.get_attribute("alt")
            or (found.get_attribute("aria-labelledby"))
        )
    seen.keep("report")
