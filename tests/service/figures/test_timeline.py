"""Lanes by hand: workers as they began, then as few as will hold the rest; the dead told apart."""

from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import PolyCollection

from service.figures.timeline import AT_WORK, DIED, ENDED, LEFT, lanes, timeline_figure
from service.ledger import ABANDONED, RECORDED, Attempt
from service.tables import attempts_table


def table(*rows: tuple[str, str | None, float, float | None, str | None]) -> pa.Table:
    """Attempts of a cohort, a worker, from when to when, and how they ended."""
    return attempts_table(
        [
            Attempt(
                cohort_id=cohort,
                number=1,
                worker=worker,
                first_step=0,
                started_at=start,
                ended_at=end,
                outcome=outcome,
            )
            for cohort, worker, start, end, outcome in rows
        ]
    )


MIXED = table(
    ("baseline-0", "b 2", 100.0, 110.0, RECORDED),
    ("search-0", "a 1", 101.0, 105.0, "the worker was killed"),
    ("search-1", None, 102.0, 106.0, RECORDED),
    ("search-2", None, 104.0, 108.0, ABANDONED),
    ("search-0", None, 107.0, 109.0, RECORDED),
    ("search-3", "b 2", 111.0, None, None),
)


def test_lanes_by_hand() -> None:
    bars, labels = lanes(MIXED)
    # The third one without a worker fits behind the first.
    assert labels == ["b, process 2", "a, process 1", "worker not known", "worker not known"]
    assert [bar.lane for bar in bars] == [0, 1, 2, 3, 2, 0]
    assert [(bar.start, bar.end) for bar in bars[:2]] == [(0.0, 10.0), (1.0, 5.0)]
    assert [bar.ending for bar in bars] == [ENDED, DIED, ENDED, LEFT, ENDED, AT_WORK]
    assert [bar.phase for bar in bars[:2]] == ["baseline", "search"]
    # One at work reaches as far as anything is known.
    assert bars[-1].end == 11.0


def test_kinds_are_told_apart_in_the_figure() -> None:
    figure = timeline_figure(MIXED, "small")
    axes = figure.axes[0]
    found = {
        str(one.get_label()): len(one.get_paths())
        for one in axes.collections
        if isinstance(one, PolyCollection)
    }
    assert found == {
        "baseline: results recorded": 1,
        "search: results recorded": 2,
        "search: died": 1,
        "search: left with its driver": 1,
        "search: at work": 1,
    }
    assert axes.get_xlabel() == "seconds since the first cohort began"
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == [
        "b, process 2",
        "a, process 1",
    ]
    # The first lane is at the top.
    low, high = axes.get_ylim()
    assert low > high
    assert "6 executions of cohorts on 4 workers" in figure.finding
    assert "1 died" in figure.finding


def test_a_night_with_nobody_at_work_is_cut() -> None:
    figure = timeline_figure(
        table(
            ("search-0", "a 1", 0.0, 600.0, RECORDED), ("search-1", "a 2", 36_600.0, 37_200.0, None)
        ),
        "small",
    )
    axes = figure.axes[0]
    assert "idle times cut" in axes.get_xlabel()
    assert axes.get_xlabel().startswith("minutes")
    # Twenty minutes at work, and a twentieth of it for the night.
    assert 20.0 < axes.get_xlim()[1] < 22.0
    assert "10 hours idle" in [text.get_text() for text in axes.texts]


Times = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), min_size=1, max_size=20).map(
    sorted
)


@given(times=Times)
def test_packed_lanes_do_not_overlap_and_are_as_few_as_can_be(times: list[Any]) -> None:
    rows = [
        (f"search-{place}", None, float(start), float(start + length), RECORDED)
        for place, (start, length) in enumerate(times)
    ]
    bars, labels = lanes(table(*rows))
    for lane in range(len(labels)):
        mine = sorted((bar.start, bar.end) for bar in bars if bar.lane == lane)
        assert all(one[1] <= other[0] for one, other in pairwise(mine))
    first = times[0][0]
    at_once = max(
        sum(start - first <= moment < start - first + length for start, length in times)
        for moment in range(80)
    )
    assert len(labels) == at_once


def test_thousands_of_executions_are_one_image() -> None:
    rows = [(f"search-{n}", "a 1", float(n), n + 0.9, RECORDED) for n in range(3000)]
    figure = timeline_figure(table(*rows), "small")
    assert figure.axes[0].collections[0].get_rasterized()


def test_one_execution_that_took_no_time() -> None:
    figure = timeline_figure(table(("search-0", None, 5.0, None, None)), "small")
    assert figure.finding == "1 execution of cohorts on 1 worker: 1 at work."


@pytest.mark.parametrize("num_workers", [1, 200])
def test_so_many_workers_have_names_that_can_be_read(num_workers: int) -> None:
    rows = [(f"search-{n}", f"host{n} 1", 0.0, 9.0, RECORDED) for n in range(num_workers)]
    axes = timeline_figure(table(*rows), "small").axes[0]
    assert 1 <= len(axes.get_yticklabels()) <= 24
