"""Intervals for means of few, paired measurements."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


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
    mean = math.fsum(values) / len(values)
    if min(values) == max(values):
        return Interval(values[0], values[0], values[0])
    # scipy takes the better part of a second to import, and only the verdict needs it.
    from scipy.stats import t  # noqa: PLC0415

    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    quantile = float(t.ppf(0.5 + confidence / 2.0, len(values) - 1))
    half_width = quantile * math.sqrt(variance / len(values))
    return Interval(mean, mean - half_width, mean + half_width)
