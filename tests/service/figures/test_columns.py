"""Axes that a few far values cannot stretch, and what is said of these."""

import numpy as np
import pytest

from service.figures.columns import beyond, limits, with_note


def test_a_far_value_is_beyond_the_ends_and_the_others_are_not() -> None:
    values = np.array([1.0, 1.1, 1.2, 1.3, 1.4, 50.0])
    ends = limits(values)
    assert beyond(values, ends).tolist() == [False] * 5 + [True]
    assert not beyond(values, limits(values, [50.0])).any()
    # What has no number is nowhere.
    assert not beyond(np.array([np.nan]), ends).any()


@pytest.mark.parametrize(
    ("num", "said"),
    [
        (0, "a sweep"),
        (1, "a sweep; of trials beyond an axis, 1 mark at its end"),
        (1200, "a sweep; of trials beyond an axis, 1,200 marks at its end"),
    ],
)
def test_marks_at_an_axiss_end_are_told(num: int, said: str) -> None:
    assert with_note("a sweep", num) == said
