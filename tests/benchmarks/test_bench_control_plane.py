"""The benchmark runs, at tiny sizes; nothing here depends on how fast."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import bench_control_plane
from bench_control_plane import as_written, measure, summary
from noop_cohorts import Settings

NOISE = {"db-0": 1.0, "db-1": 9.0, "db-2": 0.5, "db-3": 0.1, "db-4": 2.0}


@contextmanager
def counted(kind: str) -> Iterator[Callable[[], str]]:
    """Ledgers that are told apart by a number."""
    numbers = count()
    yield lambda: f"db-{next(numbers)}"


def made_up(settings: Settings) -> dict[str, Any]:
    """Cohorts of 16 trials that take longer, and write more, the more there are."""
    tenth = {"wall_s": 0.16 * settings.num_cohorts, "cpu_s": 0.1, "num_bytes": 16_000}
    return {
        "sampler": "tpe" if settings.num_cohorts == 1 else "nsga2",
        "cohort_s": 0.16 * settings.num_cohorts * NOISE.get(settings.ledger_url, 1.0),
        "cohort_cpu_s": 0.08,
        "first_tenth": tenth,
        "last_tenth": {**tenth, "num_bytes": 32_000},
        "peak_bytes": 500_000_000,
        "hot": [{"function": "life.py:ended"}] if settings.profile else [],
    }


def test_figures_are_of_a_trial_and_set_beside_those_of_few(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_control_plane, "noop", made_up)
    monkeypatch.setattr(bench_control_plane, "new_ledgers", counted)
    rows = measure([16, 32], ["sqlite"], profile=True)
    assert [row["trial_ms"] for row in rows] == pytest.approx([10.0, 20.0])
    # Of the fewest the median of five sweeps.
    assert rows[0]["each_trial_ms"] == pytest.approx([10.0, 90.0, 5.0, 1.0, 20.0])
    assert rows[1]["each_trial_ms"] == pytest.approx([20.0])
    assert [row["trial_cpu_ms"] for row in rows] == pytest.approx([5.0, 5.0])
    assert (rows[1]["first_bytes"], rows[1]["last_bytes"]) == (1000, 2000)
    assert rows[1]["hot"] == [{"function": "life.py:ended"}]
    assert (
        "1.0 kB a trial at first, 2.0 at last; driver's memory at most, without MLflow: 500 MB"
    ) in capsys.readouterr().out
    assert summary(rows) == (
        "sqlite: 20.0 ms a trial among 32 by nsga2 (to be 30), 2.00 times that among 16 by tpe (to "
        "be 1.5); driver's memory at most, without MLflow: 0.50 GB (to be 1)"
    )
    written = as_written(rows)
    assert [(one["case"], one["ours"], one["unit"]) for one in written["rows"]] == [
        ("16 sqlite", pytest.approx(0.01), "s a trial"),
        ("32 sqlite", pytest.approx(0.02), "s a trial"),
    ]
    assert written["memory"] == {"16 sqlite": 500_000_000, "32 sqlite": 500_000_000}
    assert written["breakdown"]["32 sqlite"]["sampler"] == "nsga2"
