"""What the search and the space that it goes through must hold together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from search_spaces import Choice, Float, Int, Parameter, Space, Value, condition_problems, grid_size
from service.spec.conflict import Conflict
from service.spec.fields import nearest
from service.spec.space import SpaceMapping
from service.spec.yaml_values import KeyPath, clipped, flow

if TYPE_CHECKING:
    from service.spec import Spec

# Samplers that learn from parameters only that are always there.
_WITHOUT_CONDITIONS = ("gp", "nsga2")
_SAMPLER = ("search", "sampler")
_ENQUEUE = ("search", "enqueue")
# What is wrong with one of them is said first.
_PARAMETERS: tuple[KeyPath, ...] = tuple(
    ("search_space", name) for name in SpaceMapping.model_fields
)


def conditions_of(spec: Spec) -> Iterator[Conflict]:
    """Conditions of the space that cannot be meant."""
    if not isinstance(spec.search_space, SpaceMapping):
        return
    space = spec.search_space
    for problem in condition_problems(space.entries(), space.conditions()):
        yield Conflict(
            (
                ("search_space", problem.name, "when", problem.parent),
                ("search_space", problem.parent),
            ),
            problem.must,
            problem.found,
            problem.advice,
        )


def search_conflicts(spec: Spec, space: Space) -> Iterator[Conflict]:
    """Everything about the search that does not go together with the rest."""
    yield from _sampler(spec, space)
    yield from _points(spec, space)
    yield from _grid(spec, space)
    yield from _enqueued(spec, space)
    yield from _warm_start(spec)


def _sampler(spec: Spec, space: Space) -> Iterator[Conflict]:
    sampler = spec.search.sampler
    if sampler == "nsga2" and spec.early_stopping not in (None, "auto"):
        yield Conflict(
            (_SAMPLER, ("early_stopping",)),
            "sampler must be one that learns from stopped trials where early_stopping is on",
            f"{sampler}, which ignores them",
            "Write sampler: tpe or gp, or early_stopping: null.",
        )
    if sampler in _WITHOUT_CONDITIONS and space.conditions:
        yield Conflict(
            (_SAMPLER, ("search_space",)),
            "sampler must be one that learns of parameters with a when",
            f"{sampler}, which would draw {', '.join(space.conditions)} at random",
            "Write sampler: tpe, or drop when.",
        )


def _points(spec: Spec, space: Space) -> Iterator[Conflict]:
    for name, entry in space.items():
        if isinstance(entry, Float) and entry.points is not None and spec.search.sampler != "grid":
            yield Conflict(
                (("search_space", name, "points"), _SAMPLER),
                "points must be left out unless search.sampler is grid",
                str(entry.points),
                "Remove it, or write search: {sampler: grid}.",
            )


def _grid(spec: Spec, space: Space) -> Iterator[Conflict]:
    if spec.search.sampler != "grid":
        return
    if spec.search.enqueue:
        yield Conflict(
            (_ENQUEUE, _SAMPLER),
            "enqueue must be left out where sampler is grid, which has points of its own",
            f"{len(spec.search.enqueue)} points",
            "Remove it, or take another sampler.",
        )
    size = grid_size(space)
    if size is not None and spec.search.num_trials > size:
        yield Conflict(
            (("search", "num_trials"), _SAMPLER, *_PARAMETERS),
            f"num_trials must be at most {size} for this grid, which has so many points",
            str(spec.search.num_trials),
            f"Write num_trials: {size}, or fewer to try some of them.",
        )
    for name, parameter in space.varied.items() if size is None else ():
        if parameter.grid is None:
            yield Conflict(
                (("search_space", name), _SAMPLER),
                f"{name} must have a number of points where sampler is grid",
                "any number of a range",
                "Add points, such as {float: [0.0, 1.0], points: 5}."
                if isinstance(spec.search_space, SpaceMapping)
                else "Write the ranges out, with points.",
            )


def _enqueued(spec: Spec, space: Space) -> Iterator[Conflict]:
    points, num_trials = spec.search.enqueue, spec.search.num_trials
    if len(points) > num_trials:
        yield Conflict(
            (_ENQUEUE, ("search", "num_trials")),
            f"enqueue must have at most search.num_trials points, which is {num_trials}",
            str(len(points)),
            "Remove some, or raise num_trials.",
        )
    for index, point in enumerate(points):
        for name, value in point.items():
            yield from _value(space, (*_ENQUEUE, index, name), point, value)


def _value(
    space: Space, path: KeyPath, point: Mapping[str, Value], value: Value
) -> Iterator[Conflict]:
    """One value of an enqueued point."""
    name, varied = str(path[-1]), space.varied
    if name not in varied:
        meant = nearest(name, varied)
        yield Conflict(
            (path, ("search_space", name)),
            "enqueue must give values to parameters that vary",
            clipped(name)[1:-1],
            f"Did you mean {meant}?" if meant else f"They are {', '.join(varied)}.",
        )
    elif not varied[name].contains(value):
        yield Conflict((path,), f"{name} must be {_range(varied[name])}", flow(value), "Change it.")
    else:
        for parent, allowed in space.conditions.get(name, {}).items():
            if point.get(parent) not in allowed:
                yield Conflict(
                    (path,),
                    f"{name} must stand beside {parent}: {' or '.join(map(str, allowed))}, "
                    "where it varies",
                    f"{parent}: {flow(point[parent])}" if parent in point else f"no {parent}",
                    f"Add {parent} to the point, or remove {name}."
                    if parent not in point
                    else f"Change {parent}, or remove {name}.",
                )


def _range(parameter: Parameter) -> str:
    match parameter:
        case Choice(options=options):
            return f"one of {', '.join(map(str, options))}"
        case Int(low=low, high=high, step=step) if step > 1:
            return f"{low} to {high} in steps of {step}"
        case Float(low=low, high=high) | Int(low=low, high=high):
            return f"in [{low}, {high}]"


def _warm_start(spec: Spec) -> Iterator[Conflict]:
    for index, name in enumerate(spec.search.warm_start):
        path = ("search", "warm_start", index)
        if name == spec.name:
            yield Conflict(
                (path, ("name",)),
                "warm_start must name other sweeps",
                f"the sweep itself, {name}",
                "Remove it, or give this sweep another name.",
            )
        if name in spec.search.warm_start[:index]:
            yield Conflict(
                (path,), "warm_start must name each sweep once", f"{name} again", "Remove it."
            )
