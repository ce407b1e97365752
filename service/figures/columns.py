"""Columns of the sweep's tables as arrays to draw from."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from service.objective import NUM_NEURONS

Floats = NDArray[np.float64]
Words = NDArray[np.str_]

STATES = ("feasible", "infeasible", "stopped", "failed")


def numbers(table: pa.Table, name: str) -> Floats:
    """A column of numbers; what is not known is NaN. Shape ``[rows]``."""
    return np.array(table[name].to_pylist(), dtype=np.float64)


def words(table: pa.Table, name: str) -> Words:
    """A column of words; what is not known is empty. Shape ``[rows]``."""
    return np.array([value or "" for value in table[name].to_pylist()], dtype=np.str_)


def measure(trials: pa.Table, name: str) -> Floats:
    """A number that a sweep file may name, of each trial; NaN where it has none."""
    return numbers(trials, "params.num_neurons" if name == NUM_NEURONS else name)


def states(trials: pa.Table) -> Words:
    """What became of each search trial, in the words of ``STATES``; empty of those at work."""
    ended = {"pruned": "stopped", "failed": "failed"}
    return np.array(
        [
            ("feasible" if feasible else "infeasible")
            if state == "complete"
            else ended.get(state, "")
            for state, feasible in zip(
                trials["state"].to_pylist(), trials["feasible"].to_pylist(), strict=True
            )
        ],
        dtype=object,
    ).astype(np.str_)


def limits(values: Floats, must_show: Sequence[float] = ()) -> tuple[float, float]:
    """An axis's ends: those of a box plot's whiskers, so that a few far ones hide nothing.

    Whiskers reach to the last values within one and a half times the box beyond it (Tukey).

    Args:
        values: What is to be drawn; at least one that is finite.
        must_show: What lies on the axis in any case.
    """
    known = values[np.isfinite(values)]
    low, high = np.quantile(known, (0.25, 0.75))
    reach = 1.5 * (high - low)
    inside = known[(known >= low - reach) & (known <= high + reach)]
    ends = [float(inside.min()), float(inside.max()), *must_show]
    room = 0.06 * (max(ends) - min(ends)) or 0.05 * abs(ends[0]) or 0.05
    return min(ends) - room, max(ends) + room


def beyond(values: Floats, ends: tuple[float, float]) -> NDArray[np.bool_]:
    """Which values lie beyond an axis's ends, and are drawn there."""
    low, high = ends
    return (values < low) | (values > high)


def with_note(small_print: str, num_beyond: int) -> str:
    """Small print that says so where marks are drawn at an axis's end instead of beyond it."""
    if not num_beyond:
        return small_print
    marks = "1 mark" if num_beyond == 1 else f"{num_beyond:,} marks"
    return f"{small_print}; of trials beyond an axis, {marks} at its end"
