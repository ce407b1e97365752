"""Intervals for means of few, paired measurements."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
# A study is planned so that it finds what is there four times in five.
POWER = 0.8
MOST_PLANNED = 10_000


@dataclass(frozen=True)
class Interval:
    """A mean with a two-sided interval around it."""

    mean: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        """``{mean, low, high}``."""
        return {"mean": self.mean, "low": self.low, "high": self.high}


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Student's t interval for the mean of independent measurements.

    Where all values are equal it has zero width: nothing was seen to vary.

    Args:
        values: At least two measurements.
        confidence: Coverage of the two-sided interval.

    Raises:
        ValueError: If there are fewer than two values.
    """
    if len(values) < 2:
        raise ValueError(f"an interval needs at least 2 values, found {len(values)}")
    if min(values) == max(values):
        return Interval(values[0], values[0], values[0])
    mean, spread = _mean_and_spread(values)
    quantile = _student(0.5 + confidence / 2.0, len(values) - 1)
    half_width = quantile * spread / math.sqrt(len(values))
    return Interval(mean, mean - half_width, mean + half_width)


def power(distance: float, spread: float, num_values: int, confidence: float = CONFIDENCE) -> float:
    """How likely the interval of a mean ends short of a limit that the true mean is clear of.

    Args:
        distance: From the limit to the true mean, above 0 where it is on the right side.
        spread: Standard deviation of one measurement, above 0.
        num_values: Measurements, at least two.
        confidence: Coverage of the two-sided interval.
    """
    # A second to import, needed only where a gain was seen but not shown. The lighter
    # ``scipy.special.nctdtr`` does not know the answer (NaN) far from the middle.
    from scipy.stats import nct  # noqa: PLC0415

    quantile = _student(0.5 + confidence / 2.0, num_values - 1)
    shift = distance / spread * math.sqrt(num_values)
    return float(nct.sf(quantile, num_values - 1, shift))


def num_needed(values: Sequence[float], limit: float, confidence: float = CONFIDENCE) -> int | None:
    """Measurements that would most likely show the mean to lie above a limit, as far as is known.

    Four times in five, if the true mean and spread are those of the values.

    Args:
        values: At least two measurements that differ.
        limit: What the mean is to lie above.
        confidence: Coverage of the two-sided interval.

    Returns:
        How many, or None where the values' mean does not lie above the limit, or so many would be
        needed that nobody would measure them.
    """
    mean, spread = _mean_and_spread(values)
    if mean <= limit:
        return None

    def reaches(num_values: int) -> bool:
        return power(mean - limit, spread, num_values, confidence) >= POWER

    planned = range(2, MOST_PLANNED + 1)
    found = bisect_left(planned, True, key=reaches)
    return planned[found] if found < len(planned) else None


def _student(probability: float, freedom: int) -> float:
    """The quantile of Student's t distribution.

    By the function that ``scipy.stats.t`` calls too, whose module takes a second more to import.
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - only a verdict needs it

    return float(stdtrit(freedom, probability))


def _mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(variance)
