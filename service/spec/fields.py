"""What one value of a sweep file may be, and the words it is refused with.

Each annotation wraps the strict type beside it: whatever that type or the limits refuse becomes one
error of type ``refused`` that says what the value must be and what to do.
"""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from service.spec.yaml_values import number_of

REFUSED = "refused"


def refused(must: str, advice: str) -> PydanticCustomError:
    """The error of a value that is not what it ``must`` be."""
    return PydanticCustomError(REFUSED, "must be {must}", {"must": must, "advice": advice})


def nearest(word: object, names: Iterable[str]) -> str | None:
    """The name that ``word`` was probably meant to be."""
    if not isinstance(word, str):
        return None
    lower_case = {name.lower(): name for name in names}
    close = difflib.get_close_matches(word.lower()[:64], lower_case, n=1)
    return lower_case[close[0]] if close else None


@dataclass(frozen=True)
class Must:
    """Whatever the type refuses ``must`` be something else.

    Attributes:
        must: What it must be.
        advice: What to do.
    """

    must: str
    advice: str

    def __get_pydantic_core_schema__(
        self, source: type, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """The type's schema, refusing in plain words."""
        return _reworded(handler(source), lambda _: refused(self.must, self.advice))


@dataclass(frozen=True)
class OneOf:
    """One of the literals that the type lists, or of ``names``.

    Attributes:
        names: The valid words; the type's literals where empty.
        otherwise: What else the key may hold.
    """

    names: tuple[str, ...] = ()
    otherwise: str = ""

    def __get_pydantic_core_schema__(
        self, source: type, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """The type's schema, limited to the names."""
        names = self.names or tuple(_literals(source))
        listed = f"one of {', '.join(names)}" if len(names) > 1 else names[0]

        def refusal(value: object) -> PydanticCustomError:
            meant = nearest(value, names)
            advice = f"Did you mean {meant}?" if meant else "Write one of the names."
            return refused(listed + self.otherwise, advice)

        def check(value: str) -> str:
            if value not in names:
                raise refusal(value)
            return value

        limited = core_schema.no_info_after_validator_function(check, handler(source))
        return _reworded(limited, refusal)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The type's JSON Schema, with the names where it does not list them."""
        described = handler(schema)
        if self.names:
            described["enum"] = list(self.names)
        return described


@dataclass(frozen=True)
class Within:
    """A number from ``low`` to ``high``; where the type is ``int``, a whole one.

    Attributes:
        low: Least value.
        high: Largest value.
        above: Whether ``low`` itself is left out.
        hint: What else helps whoever chose a number outside.
    """

    low: float
    high: float
    above: bool = False
    hint: str = ""

    def __get_pydantic_core_schema__(
        self, source: type, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """The type's schema, limited to the range."""
        whole = int in (source, *get_args(source))
        kind = "a whole number" if whole else "a number"
        words = "".join(f"{word} or " for word in _literals(source))
        null = "null or " if type(None) in get_args(source) else ""
        bounds = (
            f"from {self.low} to {self.high}"
            if whole
            else f"in {'(' if self.above else '['}{self.low}, {self.high}]"
        )

        def not_a_number(value: object) -> PydanticCustomError:
            advice = f"Write {null}{words}{kind}."
            if isinstance(value, str) and number_of(value.strip()) is not None:
                advice = "Write it without quotes."
            return refused(f"{null}{words}{kind} {bounds}", advice)

        def check(value: float | str | None) -> float | str | None:
            if value is None or isinstance(value, str):
                return value
            if value < self.low or (self.above and value == self.low):
                raise refused(words + bounds, f"Raise it{self.hint}.")
            if value > self.high:
                raise refused(words + bounds, f"Lower it{self.hint}.")
            return value

        return core_schema.no_info_after_validator_function(
            check, _reworded(handler(source), not_a_number)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The type's JSON Schema, with the limits."""
        described = handler(schema)
        described["exclusiveMinimum" if self.above else "minimum"] = self.low
        described["maximum"] = self.high
        return described


@dataclass(frozen=True)
class PowerOfTwo:
    """A power of two from ``low`` to ``high``, which are such themselves.

    Attributes:
        low: Least value.
        high: Largest value.
    """

    low: int
    high: int

    def __get_pydantic_core_schema__(
        self, source: type, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """The type's schema, limited to the powers."""
        words = _literals(source)
        listed = "".join(f"{word} or " for word in words)

        def refusal(value: Any) -> PydanticCustomError:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return refused(
                f"{listed}a power of two from {self.low} to {self.high}",
                f"Write {self._near(value)}." if is_number else "Write one, without quotes.",
            )

        def check(value: int | str) -> int | str:
            if value not in (*words, *self._powers):
                raise refusal(value)
            return value

        limited = core_schema.no_info_after_validator_function(check, handler(source))
        return _reworded(limited, refusal)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The type's JSON Schema, with the powers."""
        described = handler(schema)
        words = [one["const"] for one in described.get("anyOf", ()) if "const" in one]
        return {**described, "enum": [*words, *self._powers]}

    @property
    def _powers(self) -> tuple[int, ...]:
        return tuple(2**n for n in range(self.low.bit_length() - 1, self.high.bit_length()))

    def _near(self, value: float) -> str:
        """The valid values next to one that is not."""
        below = [power for power in self._powers if power <= value][-1:]
        above = [power for power in self._powers if power > value][:1]
        return " or ".join(map(str, below + above))


def _reworded(
    schema: CoreSchema, refusal: Callable[[object], PydanticCustomError]
) -> core_schema.WrapValidatorFunctionSchema:
    def check(value: object, inner: core_schema.ValidatorFunctionWrapHandler) -> Any:
        try:
            return inner(value)
        except ValidationError:
            raise refusal(value) from None

    return core_schema.no_info_wrap_validator_function(check, schema)


def _literals(source: Any) -> list[str]:
    if get_origin(source) is Literal:
        return list(get_args(source))
    return [word for part in get_args(source) for word in _literals(part)]
