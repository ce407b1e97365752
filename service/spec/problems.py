"""What pydantic finds wrong with a sweep file, in plain words and with lines."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from service.errors import Problem
from service.spec.conflict import Conflict
from service.spec.conflicts import ConflictsError
from service.spec.fields import REFUSED, nearest
from service.spec.space import FORMS, Part, SpaceMapping
from service.spec.sweep_file import LocatedData
from service.spec.yaml_values import KeyPath, clipped, dotted, flow

MAX_SHOWN = 80

_SPACE = "search_space"
# Its forms are branches of a union too.
_STOPPING = "early_stopping"
# Keys of a parameter that are seen as such; its form is not.
_OWN_KEYS = ("log", "step", "points", "when")


def problems_of(error: ValidationError, data: LocatedData, model: type[Part]) -> list[Problem]:
    """Everything that is wrong with ``data``, except what its own problems already say.

    Args:
        error: What validating the data as ``model`` raised.
        data: What the file says, and where.
        model: The whole file's model.
    """
    problems: list[Problem] = []
    for details in error.errors(include_url=False):
        path = _path(details)
        conflicts = _conflicts(details)
        if conflicts is None and not _is_known(path, data):
            problems.append(_problem(details, path, data, model))
        problems.extend(
            _conflict(conflict, data)
            for conflict in conflicts or ()
            if not any(_is_known(path, data) for path in conflict.paths)
        )
    return problems


def without_wrong(error: ValidationError, data: LocatedData) -> LocatedData:
    """``data`` without the keys that are wrong by themselves, so that the rest can be judged."""
    wrong = data.refused | {
        _path(details)[:2] for details in error.errors() if _conflicts(details) is None
    }
    kept = {
        part: {key: value for key, value in keys.items() if (part, key) not in wrong}
        if isinstance(keys, dict)
        else keys
        for part, keys in data.data.items()
        if (part,) not in wrong
    }
    return replace(data, data=kept, refused=wrong)


def _path(details: ErrorDetails) -> KeyPath:
    """Where in the file an error lies: its location without the branches of unions."""
    place = details["loc"]
    if place[:1] == (_STOPPING,):
        return (_STOPPING, *place[2:])
    if place[:1] != (_SPACE,):
        return place
    # search_space, which form of it, parameter, which form of it, key, list position
    return tuple(step for index, step in enumerate(place) if index not in (1, 3))


def found(value: object) -> str:
    """A value as a message names it."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, str):
        return f"the text {clipped(value)}"
    shown = flow(value)
    return shown if len(shown) <= MAX_SHOWN else shown[: MAX_SHOWN - 3] + "..."


def _is_known(path: KeyPath, data: LocatedData) -> bool:
    return any(path[: len(known)] == known for known in data.refused if known)


def _conflicts(details: ErrorDetails) -> tuple[Conflict, ...] | None:
    raised = details.get("ctx", {}).get("error")
    return raised.conflicts if isinstance(raised, ConflictsError) else None


def _conflict(conflict: Conflict, data: LocatedData) -> Problem:
    given = [path for path in conflict.paths if path in data.lines]
    suffix = "" if conflict.paths[0] in given or not given else ", its default"
    return _made(
        conflict.must,
        conflict.found + suffix,
        conflict.advice,
        conflict.paths[0],
        data.line(given[0] if given else conflict.paths[0]),
    )


def _problem(details: ErrorDetails, path: KeyPath, data: LocatedData, model: type[Part]) -> Problem:
    line = data.line(path)
    context = details.get("ctx", {})
    *parents, key = path or ("",)
    if details["type"] == "missing":
        keys = _keys(details, tuple(parents), model)
        return _made(f"{key} must be given", "nothing", _addition(str(key), keys), path, line)
    if details["type"] == "extra_forbidden":
        keys = _keys(details, tuple(parents), model)
        holder = dotted(tuple(parents)) or "a sweep file"
        return _made(
            f"{holder} must have only keys it knows",
            dotted((key,)),
            _replacement(key, keys),
            path,
            line,
        )
    if details["type"] == REFUSED:
        path, advice = _entry(path, context["advice"])
        subject = next(step for step in reversed(path) if isinstance(step, str))
        return _made(
            f"{subject} must be {context['must']}", found(details["input"]), advice, path, line
        )
    # every value has words of its own, so what is left is a mapping that is none
    is_optional = len(path) == 1 and _may_be_null(model.model_fields[str(key)].annotation)
    return _made(
        f"{dotted(path)} must be {'null or ' if is_optional else ''}a mapping",
        found(details["input"]),
        f"Write its keys below it, such as {_first_key(details, path, model)}"
        + (", or null." if is_optional else "."),
        path,
        line,
    )


def _made(must: str, was_found: str, advice: str, path: KeyPath, line: int) -> Problem:
    where = dotted(path)
    return Problem(f"{must}, found {was_found} ({where}, line {line}). {advice}", where, line)


def _entry(path: KeyPath, advice: str) -> tuple[KeyPath, str]:
    """A parameter's form is not a key of its own for people: they see the parameter."""
    if path[:1] != (_SPACE,) or len(path) < 3 or path[2] in _OWN_KEYS:
        return path, advice
    if len(path) == 4 and path[2] in ("float", "int"):
        advice = "Narrow the range." if advice in ("Raise it.", "Lower it.") else advice
    return path[:2], advice


def _may_be_null(annotation: object) -> bool:
    return annotation is type(None) or any(map(_may_be_null, get_args(annotation)))


def _part(annotation: Any) -> type[Part] | None:
    """The mapping among the forms that a key may have."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    return next((found for one in get_args(annotation) if (found := _part(one))), None)


def _keys(details: ErrorDetails, parents: KeyPath, model: type[Part]) -> dict[str, FieldInfo]:
    """The keys that the mapping at ``parents`` may have."""
    holder: Any = model
    for depth, step in enumerate(parents):
        if parents[0] != _SPACE:
            holder = _part(holder.model_fields[step].annotation)
        else:
            holder = SpaceMapping if depth == 0 else FORMS[str(details["loc"][3])]
    return {field.alias or name: field for name, field in holder.model_fields.items()}


def _addition(key: str, keys: dict[str, FieldInfo]) -> str:
    (example,) = keys[key].examples or ("...",)
    return f"Add `{key}: {flow(example)}`, with a value of your own."


def _replacement(key: str | int, keys: dict[str, FieldInfo]) -> str:
    meant = nearest(key, keys)
    if meant:
        return f"Did you mean {meant}?"
    return f"Remove it; the keys are {', '.join(keys)}."


def _first_key(details: ErrorDetails, path: KeyPath, model: type[Part]) -> str:
    keys: Iterator[str] = iter(_keys(details, path, model))
    return f"`{next(keys)}: ...`"
