"""Parameters that vary only where another one has certain values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from search_spaces.parameters import Choice, Float, Int, Parameter, Value

Condition = Mapping[str, tuple[Value, ...]]
"""Names of other parameters, and the values of which each must have one."""


@dataclass(frozen=True)
class ConditionProblem:
    """What is wrong with a condition.

    Attributes:
        name: The parameter that has it.
        parent: The parameter that it names.
        must: What must hold.
        found: What was found instead.
        advice: What to do.
    """

    name: str
    parent: str
    must: str
    found: str
    advice: str


def condition_problems(
    entries: Mapping[str, Parameter | Value], conditions: Mapping[str, Condition]
) -> Iterator[ConditionProblem]:
    """Everything that cannot be meant in the conditions of a space.

    One level is enough: what a condition names must itself always vary.

    Args:
        entries: Name to parameter, or to a value that is fixed.
        conditions: Name to its condition, of those that have one.
    """
    parents = [
        name
        for name, entry in entries.items()
        if isinstance(entry, Int | Choice) and not entry.is_fixed and name not in conditions
    ]
    for name, condition in conditions.items():
        for parent, values in condition.items():
            named = [each for each in parents if each != name]
            if parent not in named:
                yield ConditionProblem(
                    name,
                    parent,
                    "when must name other parameters that vary, by choice or whole numbers and "
                    "without a when of their own",
                    f"{parent}, {_what_it_is(name, parent, entries, conditions)}",
                    f"Name one of {', '.join(named)}." if named else "Drop when.",
                )
                continue
            never = [value for value in values if not _may_be(entries[parent], value)]
            if never:
                yield ConditionProblem(
                    name,
                    parent,
                    f"when must have values that {parent} can have",
                    ", ".join(map(str, never)),
                    f"Take them from {_values_of(entries[parent])}.",
                )


def _what_it_is(
    name: str,
    parent: str,
    entries: Mapping[str, Parameter | Value],
    conditions: Mapping[str, Condition],
) -> str:
    if parent == name:
        return "the parameter itself"
    if parent not in entries:
        return "which the space does not name"
    if parent in conditions:
        return "which has a when itself"
    if isinstance(entries[parent], Float) and not entries[parent].is_fixed:  # type: ignore[union-attr]
        return "which may be any number of a range"
    return "which is fixed"


def _may_be(entry: Parameter | Value, value: Value) -> bool:
    return isinstance(entry, Int | Choice) and entry.contains(value)


def _values_of(entry: Parameter | Value) -> str:
    match entry:
        case Int(low=low, high=high, step=step):
            return f"{low} to {high}" + (f" in steps of {step}" if step > 1 else "")
        case Choice(options=options):
            return ", ".join(map(str, options))
        case _:
            return str(entry)
