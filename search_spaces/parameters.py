"""One thing that varies: a number in a range, or one of several options."""

import math
from dataclasses import dataclass
from typing import TypeGuard

Value = int | float | str


@dataclass(frozen=True)
class Float:
    """A real number in ``[low, high]``.

    Attributes:
        low: Least value.
        high: Largest value; equal to ``low`` fixes it.
        log: Whether values are spread evenly over the logarithm.
        points: How many values a grid tries, both ends among them; None where it cannot be one's.

    Raises:
        ValueError: If the range is empty or not finite, ``log`` and ``low`` is not above 0, or
            ``points`` is below 2.
    """

    low: float
    high: float
    log: bool = False
    points: int | None = None

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.log)
        if self.points is not None and self.points < 2:
            raise ValueError(f"points must be at least 2, found {self.points}. Raise it.")

    @property
    def is_fixed(self) -> bool:
        """Whether only one value is left."""
        return self.low == self.high

    @property
    def first(self) -> float:
        """The value a fixed parameter has."""
        return float(self.low)

    @property
    def grid(self) -> tuple[float, ...] | None:
        """The values that a grid tries; None without ``points``."""
        if self.is_fixed:
            return (self.first,)
        if self.points is None:
            return None
        last = self.points - 1
        shares = (index / last for index in range(1, last))
        return (float(self.low), *map(self.at, shares), float(self.high))

    def at(self, share: float) -> float:
        """The value so far along the range, as it is spread.

        Args:
            share: From 0, its low end, to 1, its high end.
        """
        if self.log:
            value = math.exp((1.0 - share) * math.log(self.low) + share * math.log(self.high))
        else:
            value = (1.0 - share) * self.low + share * self.high
        # Rounding may lead a little beyond the ends.
        return float(min(max(value, self.low), self.high))

    def contains(self, value: Value) -> bool:
        """Whether ``value`` is a number in the range."""
        return _is_number(value) and self.low <= float(value) <= self.high


@dataclass(frozen=True)
class Int:
    """A whole number in ``[low, high]``, counted from ``low`` in steps.

    Attributes:
        low: Least value.
        high: Largest value allowed; the largest taken is the last step that reaches no further.
        step: Distance between values.
        log: Whether values are spread evenly over the logarithm.

    Raises:
        ValueError: If the range is empty or not whole numbers, ``step`` is below 1, ``log`` and
            ``low`` is below 1, or ``log`` and ``step`` is not 1.
    """

    low: int
    high: int
    step: int = 1
    log: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise ValueError(f"{name} must be a whole number, found {value!r}. Give one.")  # noqa: TRY004
        _check_range(self.low, self.high, self.log)
        if self.step < 1:
            raise ValueError(f"step must be at least 1, found {self.step}. Raise it.")
        if self.log and self.step != 1:
            raise ValueError(
                f"step must be 1 where log is true, found {self.step}. Drop one of them."
            )

    @property
    def is_fixed(self) -> bool:
        """Whether only one value is left."""
        return self.low + self.step > self.high

    @property
    def first(self) -> int:
        """The value a fixed parameter has."""
        return self.low

    @property
    def grid(self) -> tuple[int, ...]:
        """The values that a grid tries: all."""
        return tuple(range(self.low, self.high + 1, self.step))

    def at(self, share: float) -> int:
        """The value so far along the range, as it is spread; each has its part of the way.

        Args:
            share: From 0, its low end, to 1, its high end.
        """
        if self.log:
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            value = round(math.exp((1.0 - share) * low + share * high))
            return min(max(value, self.low), self.high)
        values = range(self.low, self.high + 1, self.step)
        return values[min(int(share * len(values)), len(values) - 1)]

    def contains(self, value: Value) -> bool:
        """Whether ``value`` is a number in the range and on a step."""
        return (
            _is_number(value)
            and self.low <= float(value) <= self.high
            and (float(value) - self.low) % self.step == 0
        )


@dataclass(frozen=True)
class Choice:
    """One of several options, in no order.

    Attributes:
        options: What there is to choose from; one option fixes it.

    Raises:
        ValueError: If there are none, two are equal, or a number is not finite.
    """

    options: tuple[Value, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple(self.options))
        if not self.options:
            raise ValueError("options must hold at least one option, found none. Add one.")
        for option in self.options:
            check_value("An option", option)
        for index, option in enumerate(self.options):
            if option in self.options[:index]:
                raise ValueError(f"options must differ, found {option!r} twice. Remove one.")

    @property
    def is_fixed(self) -> bool:
        """Whether only one option is left."""
        return len(self.options) == 1

    @property
    def first(self) -> Value:
        """The value a fixed parameter has."""
        return self.options[0]

    @property
    def grid(self) -> tuple[Value, ...]:
        """The values that a grid tries: all options."""
        return self.options

    def at(self, share: float) -> Value:
        """The option so far along the list; each has its part of the way.

        Args:
            share: From 0, the first, to 1, the last.
        """
        return self.options[min(int(share * len(self.options)), len(self.options) - 1)]

    def contains(self, value: Value) -> bool:
        """Whether ``value`` is one of the options."""
        return not isinstance(value, bool) and value in self.options


Parameter = Float | Int | Choice


def check_value(what: str, value: object) -> None:
    """Refuse a value that is neither a word nor a finite number.

    Raises:
        ValueError: If it is not.
    """
    if isinstance(value, str):
        return
    if not _is_number(value) or not math.isfinite(value):
        raise ValueError(f"{what} must be a word or a finite number, found {value!r}. Give one.")


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_range(low: float, high: float, log: bool) -> None:
    for name, value in (("low", low), ("high", high)):
        if not _is_number(value) or not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, found {value!r}. Give one.")
    if low > high:
        raise ValueError(f"low must be at most high, found {low} > {high}. Swap them.")
    if log and low <= 0:
        raise ValueError(f"low must be above 0 where log is true, found {low}. Raise it.")
