import pytest

from service.objective import AT_MOST, MAXIMIZE, Goal, Limit
from service.shortfalls import beyond_limits, no_gain

CEILING = Limit("loss_ratio", 1.02, AT_MOST)
GOAL = Goal("feature_coverage", MAXIMIZE)


@pytest.mark.parametrize(
    ("ratios", "said"),
    [
        ([0.999, 1.0, 1.001], None),
        # Mean 1.00 and spread 0.02: one spread below the ceiling, an effect size of 1, for which
        # power tables of the t test say 10.
        ([0.98, 1.0, 1.02], "if it is as it looks, 10 seeds would show it four times in five"),
        ([1.02, 1.04, 1.03], "more seeds would not help, the mean itself is beyond"),
        ([0.9, 1.1399, 1.02], "it is too close for any number of seeds to show it"),
        ([1.1, 1.1, 1.1], "more seeds would not help"),
    ],
)
def test_what_a_loss_would_have_needed(ratios: list[float], said: str | None) -> None:
    found = beyond_limits(lambda _: ratios, [CEILING], num_tested=1)
    assert len(found) == (said is not None)
    assert said is None or said in found[0]


def test_more_settings_that_are_tested_need_more_seeds() -> None:
    """A mean of 0.1 and a spread of 0.1, an effect size of 1 again."""
    gains = [0.0, 0.1, 0.2]
    (alone,) = no_gain(lambda _: gains, [GOAL], num_tested=1)
    (among_five,) = no_gain(lambda _: gains, [GOAL], num_tested=5)
    assert "(95.0% interval; if it is as it looks, 10 seeds" in alone
    assert "(99.0% interval; if it is as it looks, 16 seeds" in among_five


def test_a_gain_that_is_none_is_not_found_by_more_seeds() -> None:
    (said,) = no_gain(lambda _: [-0.1, 0.1, -0.02], [GOAL], num_tested=1)
    assert said.startswith("its gain in feature coverage may be as low as -0.2")
    assert said.endswith("more seeds would not help, the mean itself is beyond)")
