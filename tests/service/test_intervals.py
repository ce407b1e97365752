import math

import numpy as np
import pytest

from service.intervals import Interval, mean_interval, num_needed, power


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


def test_power_is_that_of_the_t_test() -> None:
    # Power of a one-sample t test, effect size 0.5, n = 34, alpha = 0.05 two-sided: 0.807778
    # (G*Power 3.1; both tails, of which the far one adds less than 1e-4).
    assert power(0.5, 1.0, 34) == pytest.approx(0.8078, abs=2e-4)


def test_power_is_the_rate_at_which_simulated_studies_succeed() -> None:
    draws = np.random.default_rng(0).normal(0.3, 0.5, size=(1500, 6)).tolist()
    found = sum(mean_interval(row, 0.975).low > 0 for row in draws)
    assert found / 1500 == pytest.approx(power(0.3, 0.5, 6, 0.975), abs=0.03)


def test_as_many_are_needed_as_textbooks_say() -> None:
    # Effect size 0.5: 34 (G*Power 3.1, power 0.8, alpha 0.05 two-sided).
    values = [0.5 - math.sqrt(0.5), 0.5 + math.sqrt(0.5)]  # mean 0.5, standard deviation 1
    assert num_needed(values, 0.0) == 34
    assert num_needed([value + 3 for value in values], 3.0) == 34


def test_none_are_enough_where_the_mean_is_on_the_wrong_side_or_hardly_clear() -> None:
    assert num_needed([-1.0, 0.5], 0.0) is None
    assert num_needed([-1.0, 1.0001], 0.0) is None
