"""What a setting lacks to be confirmed, in words, and how many seeds would most likely show it."""

from collections.abc import Callable, Sequence

from service.intervals import CONFIDENCE, mean_interval, num_needed
from service.objective import AT_MOST, COUNTS, NUM_NEURONS, Goal, Limit, in_words


def beyond_limits(
    numbers: Callable[[str], list[float]], limits: Sequence[Limit], num_tested: int
) -> list[str]:
    """What is not surely within its limit.

    Args:
        numbers: A named number of the setting, one for each seed, at least two.
        limits: What it must keep.
        num_tested: Settings that are tested beside each other.
    """
    said, confidence = [], _corrected(num_tested)
    for limit in limits:
        name, values = limit.name, numbers(limit.name)
        interval = mean_interval(values, confidence)
        far, where, end = (
            ("high", "below", interval.high)
            if limit.sign == AT_MOST
            else ("low", "above", interval.low)
        )
        if limit.excess(end) > 0.0:
            needed = _needed([limit.excess(value) for value in values], -1.0, confidence)
            said.append(
                f"its {in_words(name)} may be as {far} as {_short(name, end)}, and must surely be "
                f"at or {where} {_short(name, limit.bound)} ({confidence:.1%} interval; {needed})"
            )
    return said


def no_gain(
    gains: Callable[[Goal], list[float]], goals: Sequence[Goal], num_tested: int
) -> list[str]:
    """What is missing where no objective is surely better than the baseline's.

    Args:
        gains: How much better the setting is at a goal, one for each seed, at least two.
        goals: What the search is after.
        num_tested: Settings that are tested beside each other.
    """
    num_measured = sum(goal.name != NUM_NEURONS for goal in goals)
    confidence = _corrected(num_tested * max(num_measured, 1))
    lows = {goal: mean_interval(gains(goal), confidence).low for goal in goals}
    if any(low > 0.0 for low in lows.values()):
        return []
    said = " and ".join(
        f"its gain in {gain_words(goal)} may be as low as {_short(goal.name, low, '+')}"
        for goal, low in lows.items()
    )
    if len(goals) > 1:
        return [f"{said}, and one must surely be above 0 ({confidence:.1%} interval)"]
    needed = _needed(gains(goals[0]), 1.0, confidence)
    return [f"{said}, and must surely be above 0 ({confidence:.1%} interval; {needed})"]


def _corrected(num_tests: int) -> float:
    """Confidence of each of several intervals that are to hold together (Bonferroni)."""
    return 1.0 - (1.0 - CONFIDENCE) / num_tests


def _needed(values: Sequence[float], sign: float, confidence: float) -> str:
    """How many seeds would show that the mean, times the sign, is above 0."""
    signed = [sign * value for value in values]
    needed = num_needed(signed, 0.0, confidence)
    if needed is not None:
        return f"if it is as it looks, {needed} seeds would show it four times in five"
    if sum(signed) > 0.0:
        return "it is too close for any number of seeds to show it"
    return "more seeds would not help, the mean itself is beyond"


def gain_words(goal: Goal) -> str:
    """What is gained: the number, or less of it."""
    if goal.direction == "maximize":
        return goal.words
    return f"{'fewer' if goal.name in COUNTS else 'lower'} {goal.words}"


def _short(name: str, value: float, sign: str = "") -> str:
    return f"{value:{sign}.6g}" if name in COUNTS else f"{value:{sign}.4f}"
