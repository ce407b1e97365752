"""The benchmark of pages, on a small sweep; how long they take is not asserted."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

pytest.importorskip("playwright", reason="no playwright: make test installs it")

import bench_pages


@pytest.mark.occasional
def test_each_page_is_waited_for(tmp_path: Path, browser: Any) -> None:
    rows = bench_pages.measure(tmp_path, 40, browser)
    assert [row["case"] for row in rows] == [
        "40 trials: report written",
        "40 trials: report opened",
        "40 trials: list of runs opened",
        "40 trials: list sorted by a metric",
    ]
    assert all(row["ours"] > 0 for row in rows)


def test_without_a_browser_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_pages, "executable", lambda: None)
    assert bench_pages.main([]) == 2
    assert "needs a browser" in capsys.readouterr().err
