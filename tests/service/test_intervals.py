import math

import pytest

from service.intervals import Interval, mean_interval


def test_interval_of_four_values_by_hand() -> None:
    # Mean 2.5, sum of squares 5, variance 5/3, standard error sqrt(5/12) = 0.645497.
    # t(0.975, 3) = 3.182446 (Student's table), so the half width is 2.054260.
    interval = mean_interval([1.0, 2.0, 3.0, 4.0])
    assert interval.mean == 2.5
    assert interval.low == pytest.approx(0.445740, abs=1e-5)
    assert interval.high == pytest.approx(4.554260, abs=1e-5)


def test_more_confidence_is_wider() -> None:
    # t(0.9875, 3) = 4.176535 (Student's table).
    interval = mean_interval([1.0, 2.0, 3.0, 4.0], confidence=0.975)
    assert interval.high - 2.5 == pytest.approx(4.176535 * math.sqrt(5 / 12), rel=1e-5)


def test_equal_values_have_zero_width() -> None:
    assert mean_interval([0.1, 0.1, 0.1]) == Interval(0.1, 0.1, 0.1)


def test_one_value_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least 2 values, found 1"):
        mean_interval([1.0])
