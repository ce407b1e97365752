"""Numbers as people read them."""

from collections.abc import Mapping
from datetime import UTC, datetime

from service.objective import NUM_NEURONS, in_words

UNKNOWN, MINUS = "-", "\N{MINUS SIGN}"


def short(value: object) -> str:
    """A setting or a number, with the digits that say something."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}".replace("-", MINUS, 1) if value < 0 else f"{value:.3g}"
    return str(value)


def interval(found: Mapping[str, float] | None, digits: int = 3) -> str:
    """A mean, and half of the interval around it."""
    if found is None:
        return UNKNOWN
    half_width = (found["high"] - found["low"]) / 2
    return f"{found['mean']:.{digits}f} ±{half_width:.{digits}f}"


def moment(seconds: float | None) -> str:
    """A time, in seconds since 1970."""
    if seconds is None:
        return UNKNOWN
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def span(seconds: float) -> str:
    """A length of time."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def setting_words(params: Mapping[str, object]) -> str:
    """Settings in a row: ``initial bias -0.5, 512 neurons``."""
    return ", ".join(
        f"{value} neurons" if name == NUM_NEURONS else f"{in_words(name)} {short(value)}"
        for name, value in params.items()
    )
