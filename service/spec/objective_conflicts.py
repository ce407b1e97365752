"""What an objective must hold together with itself and with the rest of a sweep file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from service.spec.conflict import Conflict
from service.spec.objective import MAX_GOALS
from service.spec.yaml_values import KeyPath

if TYPE_CHECKING:
    from service.spec import Spec

_MAXIMIZE: KeyPath = ("objective", "maximize")
_MINIMIZE: KeyPath = ("objective", "minimize")
_MARGIN: KeyPath = ("objective", "loss_margin")


def objective_conflicts_of(spec: Spec) -> Iterator[Conflict]:
    """Everything in ``spec`` that its objective does not go together with."""
    yield from _goals(spec)
    yield from _ceiling(spec)
    yield from _crossed(spec)
    yield from _stopped_early(spec)
    try:
        low, high = spec.space.bounds("num_neurons", spec.model.num_neurons)
    except ValueError:  # a named space that is empty is another conflict
        return
    yield from _width(spec, low, high)


def _goals(spec: Spec) -> Iterator[Conflict]:
    part = spec.objective
    named = (_MAXIMIZE, _MINIMIZE) if part.maximize else (_MINIMIZE, _MAXIMIZE)
    if part.num_goals == 0:
        yield Conflict(
            (("objective",),),
            "objective must maximize or minimize something",
            "nothing",
            "Write maximize: monosemantic_per_feature.",
        )
    if part.num_goals > MAX_GOALS:
        yield Conflict(
            named,
            f"objectives must be {MAX_GOALS} at most, maximize and minimize together",
            str(part.num_goals),
            "Drop some, or make limits of them: at_most, at_least.",
        )
    for name in part.maximize:
        if name in part.minimize:
            yield Conflict(
                (_MINIMIZE, _MAXIMIZE),
                f"{name} must be maximized or minimized",
                "both",
                "Remove it from one of them.",
            )


def _ceiling(spec: Spec) -> Iterator[Conflict]:
    part = spec.objective
    bound = part.at_most.bounds().get("loss_ratio")
    if bound is not None and part.loss_margin is not None:
        yield Conflict(
            (_MARGIN, ("objective", "at_most", "loss_ratio")),
            f"loss_margin must be null beside at_most: {{loss_ratio: {bound:g}}}, which sets the "
            "same ceiling",
            f"{part.loss_margin:g}",
            "Write loss_margin: null, or drop at_most.loss_ratio.",
        )


def _crossed(spec: Spec) -> Iterator[Conflict]:
    """Two limits of one number that nothing can keep."""
    part = spec.objective
    upper = {name: (bound, f"at_most.{name}") for name, bound in part.at_most.bounds().items()}
    if part.loss_margin is not None and "loss_ratio" not in upper:
        upper["loss_ratio"] = (1.0 + part.loss_margin, "1 + loss_margin")
    for name, low in part.at_least.bounds().items():
        high, where = upper.get(name, (low, ""))
        if low > high:
            yield Conflict(
                (("objective", "at_least", name), ("objective", "at_most", name)),
                f"at_least.{name} must be at most {where}, which is {high:g}",
                f"{low:g}",
                "Lower it, or raise the other.",
            )


def _stopped_early(spec: Spec) -> Iterator[Conflict]:
    part = spec.objective
    if spec.early_stopping in (None, "auto") or part.num_goals == 0:
        return
    if part.num_goals > 1:
        yield Conflict(
            (("early_stopping",), _MINIMIZE, _MAXIMIZE),
            "early_stopping must have one objective: of the few trials of a cohort, early in their "
            "training, nearly all are on the front of several",
            f"{part.num_goals}",
            "Write early_stopping: null, or make limits of the others: at_most, at_least.",
        )
    elif (*part.maximize, *part.minimize) == ("train_s",):
        yield Conflict(
            (("early_stopping",), _MINIMIZE, _MAXIMIZE),
            "early_stopping must have an objective that is the same when it is measured again",
            "train_s",
            "Write early_stopping: null, or another objective.",
        )


def _width(spec: Spec, low: float, high: float) -> Iterator[Conflict]:
    """The width is known before anything is trained, so a limit of it must leave a choice."""
    part, name = spec.objective, "num_neurons"
    most, least = part.at_most.bounds().get(name), part.at_least.bounds().get(name)
    reach = f"the search space's {name} go from {low:g} to {high:g}" if low < high else ""
    reach = reach or f"every network has {low:g} neurons"
    advice = f"Remove it, or vary {name} in the search space."
    if low < high:
        advice = "Change it, or narrow the search space instead."
    for key, bound, never, always in (
        ("at_most", most, most is not None and most < low, most is not None and most >= high),
        ("at_least", least, least is not None and least > high, least is not None and least <= low),
    ):
        if never or always:
            yield Conflict(
                (("objective", key, name), ("search_space", name), ("model", name)),
                f"{key}.{name} must be a limit that some networks keep and others do not: {reach}",
                f"{bound:g}, which {'all' if always else 'none'} of them keep",
                advice,
            )
    if low == high and name in (*part.maximize, *part.minimize):
        yield Conflict(
            (
                _MAXIMIZE if name in part.maximize else _MINIMIZE,
                ("search_space", name),
                ("model", name),
            ),
            f"{name} must vary in the search space to be an objective",
            f"{low:g} in every network",
            f"Vary it, such as num_neurons: {{int: [{max(int(low) // 2, 1)}, {2 * int(low)}]}}, "
            "or drop the objective.",
        )
