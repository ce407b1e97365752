"""What several keys of a sweep file must hold together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from search_spaces import Space
from service.spec.conflict import Conflict
from service.spec.search_conflicts import conditions_of, search_conflicts
from service.spec.space import MAX_WIDTH
from service.spec.yaml_values import KeyPath

if TYPE_CHECKING:
    from service.spec import Spec


class ConflictsError(ValueError):
    """Every conflict of one sweep file."""

    def __init__(self, conflicts: tuple[Conflict, ...]) -> None:
        super().__init__("; ".join(conflict.must for conflict in conflicts))
        self.conflicts = conflicts


def conflicts_of(spec: Spec) -> Iterator[Conflict]:
    """Everything that does not go together in ``spec``."""
    yield from _counts(spec)
    yield from _budgets(spec)
    yield from _tuned_baseline(spec)
    yield from _early_stopping(spec)
    wrong_conditions = list(conditions_of(spec))
    if wrong_conditions:
        yield from wrong_conditions
        return
    try:
        space = spec.space
    except ValueError as error:  # a named space whose ranges the file's numbers leave empty
        yield Conflict(
            (("search_space",), *_NAMED_SPACE_INPUTS),
            "search_space must have ranges that hold numbers",
            f"for {spec.search_space}: {str(error).split('. ')[0]}",
            "Change the training or write the ranges out.",
        )
        return
    yield from search_conflicts(spec, space)
    yield from _reach(spec, space)
    yield from _pull(spec, space)


_NAMED_SPACE_INPUTS: tuple[KeyPath, ...] = (
    ("task", "feature_density"),
    ("training", "num_steps"),
    ("training", "learning_rate"),
    ("model", "num_neurons"),
)


def _counts(spec: Spec) -> Iterator[Conflict]:
    replicates, num_seeds = spec.search.replicates, spec.baseline.num_seeds
    at_most = [(("task", "num_inputs"), ("task", "num_features"))]
    if spec.confirmation is not None:
        at_most.append((("confirmation", "finalists"), ("search", "num_trials")))
    for small, large in at_most:
        value, limit = (getattr(getattr(spec, part), key) for part, key in (small, large))
        if value > limit:
            yield Conflict(
                (small, large),
                f"{small[1]} must be at most {'.'.join(large)}, which is {limit}",
                str(value),
                f"Write {small[1]}: {limit} or fewer, or raise {large[1]}.",
            )
    if num_seeds < replicates:
        yield Conflict(
            (("baseline", "num_seeds"), ("search", "replicates")),
            f"num_seeds must be at least search.replicates, which is {replicates}",
            str(num_seeds),
            f"Write num_seeds: {replicates} or more, or lower replicates.",
        )


def _budgets(spec: Spec) -> Iterator[Conflict]:
    """Budgets that allow no trial, or never end anything."""
    search = spec.search
    one_trial = spec.training.num_steps * search.replicates
    if search.max_training_steps is not None and search.max_training_steps < one_trial:
        yield Conflict(
            (("search", "max_training_steps"), ("training", "num_steps")),
            "max_training_steps must be at least training.num_steps * search.replicates, which is "
            f"{one_trial}, one trial",
            str(search.max_training_steps),
            "Raise it, or write max_training_steps: null.",
        )
    if search.patience is not None and search.patience > search.num_trials:
        yield Conflict(
            (("search", "patience"), ("search", "num_trials")),
            f"patience must be at most num_trials, which is {search.num_trials}, since with more "
            "it never ends the search",
            str(search.patience),
            "Lower it, or write patience: null.",
        )


def _tuned_baseline(spec: Spec) -> Iterator[Conflict]:
    if spec.search_space == "bias_width_and_rate" and spec.baseline.learning_rate != "tuned":
        yield Conflict(
            (("search_space",), ("baseline", "learning_rate")),
            "bias_width_and_rate must have a baseline whose learning rate is tuned too",
            f"baseline.learning_rate: {spec.baseline.learning_rate}",
            "Write baseline: {learning_rate: tuned}, or take bias_and_width.",
        )


def _early_stopping(spec: Spec) -> Iterator[Conflict]:
    stopping, num_steps = spec.early_stopping, spec.training.num_steps
    if stopping is None or stopping == "auto":
        return
    first_step = 1 if stopping.first_step == "auto" else stopping.first_step
    if first_step >= num_steps:
        largest = 2 ** ((num_steps - 1).bit_length() - 1)
        yield Conflict(
            (("early_stopping", "first_step"), ("training", "num_steps")),
            f"first_step must be below training.num_steps, which is {num_steps}",
            str(first_step),
            f"Write first_step: {largest} or a smaller power of two, or early_stopping: null."
            if num_steps > 1
            else "Write early_stopping: null.",
        )
    if spec.compute.cohort_size == 1:
        yield Conflict(
            (("compute", "cohort_size"), ("early_stopping",)),
            "cohort_size must be at least 2 for early stopping, which compares trials of a cohort",
            "1",
            "Raise it, or write early_stopping: null.",
        )


def _reach(spec: Spec, space: Space) -> Iterator[Conflict]:
    """A named space is made from the file's numbers and may reach beyond what they may be."""
    for name, limit, own in (
        ("learning_rate", 1, ("training", "learning_rate")),
        ("num_neurons", MAX_WIDTH, ("model", "num_neurons")),
    ):
        if isinstance(spec.search_space, str) and name in space:
            reached = space.bounds(name, 0)[1]
            if reached > limit:
                yield Conflict(
                    (own, ("search_space",)),
                    f"{name} must be low enough for {spec.search_space} to stay within {limit}",
                    f"a range that ends at {reached:g}",
                    f"Lower {name} or write the ranges out.",
                )


def _pull(spec: Spec, space: Space) -> Iterator[Conflict]:
    """The file's own values must hold even where the space replaces them; so must its corners."""
    names = ("bias_decay", "learning_rate")
    own = (spec.training.bias_decay, spec.training.learning_rate)
    top = tuple(space.bounds(name, value)[1] for name, value in zip(names, own, strict=True))
    own_paths: tuple[KeyPath, ...] = tuple(("training", name) for name in names)
    top_paths = tuple(
        ("search_space", name) if name in space else path
        for name, path in zip(names, own_paths, strict=True)
    )
    for (decay, rate), paths, where in (
        (own, own_paths, ""),
        (top, top_paths, ", also at the top of their ranges"),
    ):
        if decay * rate >= 1:
            yield Conflict(
                paths,
                f"bias_decay * learning_rate must be below 1{where}",
                f"{decay:g} * {rate:g} = {decay * rate:g}",
                "Lower one of them.",
            )
            return
