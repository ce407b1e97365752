"""What a sweep is after: numbers with a direction, and limits that others must keep.

Made once from the sweep file. Everybody who judges a trial asks it: the search, early stopping, the
confirmation and every display.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from service.trials import Result, Settings, Told, Trial

if TYPE_CHECKING:
    from service.spec import Spec

Direction = Literal["maximize", "minimize"]

MAXIMIZE, MINIMIZE = 1.0, -1.0
AT_MOST, AT_LEAST = 1.0, -1.0

LOSS_RATIO = "loss_ratio"
NUM_NEURONS = "num_neurons"
TRAIN_S = "train_s"
# Never negative and large: a few digits say all of them.
COUNTS = (NUM_NEURONS, TRAIN_S, "num_dead")

# A diverged trial is told with this for every constraint, in units of the loss ratio: so far beyond
# the ceiling that the sampler learns to stay away.
FAR_BEYOND = 1e6


def number(name: str, result: Result, settings: Settings) -> float | None:
    """A reported number of a trial; None where it has none, or one that is not finite.

    Args:
        name: One of the numbers that a sweep file may name.
        result: What came of the trial.
        settings: The trial's settings.
    """
    match name:
        case "loss_ratio":
            value = result.loss_ratio
        case "num_neurons":
            value = float(settings["num_neurons"])
        case "train_s":
            value = result.train_s
        case _:
            value = result.metrics.get(name)
    return float(value) if value is not None and math.isfinite(value) else None


@dataclass(frozen=True)
class Goal:
    """A number that the search makes larger or smaller.

    Attributes:
        name: The number.
        sign: ``MAXIMIZE`` or ``MINIMIZE``.
    """

    name: str
    sign: float

    @property
    def direction(self) -> Direction:
        """Optuna's word for it."""
        return "maximize" if self.sign == MAXIMIZE else "minimize"

    @property
    def words(self) -> str:
        """The number's name for people."""
        return in_words(self.name)

    def gain(self, mine: float, theirs: float) -> float:
        """How much better ``mine`` is than ``theirs``."""
        return mine - theirs if self.sign == MAXIMIZE else theirs - mine


@dataclass(frozen=True)
class Limit:
    """A number that must stay on one side of a bound.

    Attributes:
        name: The number.
        bound: The last value that is allowed.
        sign: ``AT_MOST`` or ``AT_LEAST``.
    """

    name: str
    bound: float
    sign: float

    @property
    def key(self) -> str:
        """The constraint's name in Optuna's studies; a number may have a limit on either side."""
        return self.name if self.sign == AT_MOST else f"{self.name}_at_least"

    @property
    def words(self) -> str:
        """``at most`` or ``at least``."""
        return "at most" if self.sign == AT_MOST else "at least"

    def excess(self, value: float | None) -> float:
        """How far a number is beyond the bound; allowed at or below 0.

        As a fraction of the bound, so that no limit outweighs the others by its unit; the loss
        ratio is a fraction already.
        """
        if value is None:
            return FAR_BEYOND
        scale = 1.0 if self.name == LOSS_RATIO else abs(self.bound) or 1.0
        return self.sign * (value - self.bound) / scale


@dataclass(frozen=True)
class Objective:
    """What the search is after.

    Attributes:
        goals: One, or the axes of a Pareto front; the first decides where one must.
        limits: What a trial must keep to be feasible, sorted by key.
    """

    goals: tuple[Goal, ...]
    limits: tuple[Limit, ...]

    @property
    def first(self) -> Goal:
        """The goal that decides who wins."""
        return self.goals[0]

    @property
    def directions(self) -> tuple[Direction, ...]:
        """One for each goal."""
        return tuple(goal.direction for goal in self.goals)

    @property
    def names(self) -> tuple[str, ...]:
        """The numbers that decide, goals first, each once."""
        goals, limits = (goal.name for goal in self.goals), (limit.name for limit in self.limits)
        return tuple(dict.fromkeys((*goals, *limits)))

    @property
    def max_loss_ratio(self) -> float | None:
        """Where the ceiling is, over the baseline's loss; None where there is none."""
        bounds = (limit.bound for limit in self.limits if limit.key == LOSS_RATIO)
        return next(bounds, None)

    def values(self, result: Result, settings: Settings) -> tuple[float, ...] | None:
        """A complete trial's number for each goal; None where one of them is not known."""
        if result.state != "complete":
            return None
        found = [number(goal.name, result, settings) for goal in self.goals]
        known = tuple(value for value in found if value is not None)
        return known if len(known) == len(found) else None

    def constraints(self, result: Result, settings: Settings) -> dict[str, float]:
        """A trial's excess over each limit, sorted by key; feasible if all are at or below 0."""
        return {
            limit.key: limit.excess(number(limit.name, result, settings)) for limit in self.limits
        }

    def total_excess(self, result: Result, settings: Settings) -> float:
        """How far a complete trial is beyond its limits, all together; 0 within them."""
        if self.values(result, settings) is None:
            return math.inf
        return sum(max(one, 0.0) for one in self.constraints(result, settings).values())

    def is_feasible(self, result: Result, settings: Settings) -> bool:
        """Whether a trial is complete and keeps every limit; nothing else can become best."""
        excesses = self.constraints(result, settings).values()
        return self.values(result, settings) is not None and all(one <= 0.0 for one in excesses)

    def allows_width(self, num_neurons: float) -> bool:
        """Whether a network of this width can be feasible."""
        widths = (limit for limit in self.limits if limit.name == NUM_NEURONS)
        return all(limit.excess(num_neurons) <= 0.0 for limit in widths)

    def told(self, result: Result, settings: Settings) -> Told:
        """What Optuna is told of a search trial's result.

        A complete trial has its values and every constraint. A diverged one has no values but
        constraints far beyond the ceiling, so that the sampler learns to stay away from it. A trial
        stopped early, or never trained since its workers died, has neither: nothing was learnt of
        its settings.
        """
        values = self.values(result, settings)
        if values is not None:
            return Told(values, self.constraints(result, settings))
        if result.state == "complete" or (result.state == "failed" and result.num_steps > 0):
            return Told(None, {limit.key: FAR_BEYOND for limit in self.limits})
        return Told(None, {})

    def told_alone(self, result: Result, settings: Settings) -> Told:
        """What Optuna is told of a confirmation trial, whose baseline may not have ended yet.

        There the loss stands in for the loss ratio.
        """
        alone = Objective(
            tuple(Goal(_ALONE.get(goal.name, goal.name), goal.sign) for goal in self.goals), ()
        )
        return Told(alone.values(result, settings), {})


_ALONE = {LOSS_RATIO: "loss"}


def objective_of(spec: "Spec") -> Objective:
    """What a sweep file says its sweep is after."""
    part = spec.objective
    upper = part.at_most.bounds()
    if part.loss_margin is not None:
        upper[LOSS_RATIO] = 1.0 + part.loss_margin
    limits = [
        *(Limit(name, bound, AT_MOST) for name, bound in upper.items()),
        *(Limit(name, bound, AT_LEAST) for name, bound in part.at_least.bounds().items()),
    ]
    return Objective(
        goals=(
            *(Goal(name, MAXIMIZE) for name in part.maximize),
            *(Goal(name, MINIMIZE) for name in part.minimize),
        ),
        limits=tuple(sorted(limits, key=lambda limit: limit.key)),
    )


def in_words(name: str) -> str:
    """A number's name for people."""
    return _WORDS.get(name, name.replace("_", " "))


_WORDS = {
    NUM_NEURONS: "neurons",
    "num_dead": "dead neurons",
    TRAIN_S: "seconds of training",
}


def baseline_losses(trials: Sequence[Trial], learning_rate: float) -> dict[int, float]:
    """Loss of each complete baseline trial at one learning rate, by seed."""
    return {
        trial.seeds[0]: trial.result.metrics["loss"]
        for trial in trials
        if trial.result is not None
        and trial.result.state == "complete"
        and trial.settings["learning_rate"] == learning_rate
    }


def baseline_rate(trials: Sequence[Trial]) -> float | None:
    """The baseline's learning rate: of those trained on most seeds the one of lowest mean loss.

    Rates that diverged on some seeds are not compared with rates that did not: their means would
    be over other seeds.

    Args:
        trials: Baseline trials, ended or not.

    Returns:
        The rate, or None while no trial is complete.
    """
    losses = {
        rate: found
        for rate in {float(trial.settings["learning_rate"]) for trial in trials}
        if (found := baseline_losses(trials, rate))
    }
    return min(
        losses,
        key=lambda rate: (-len(losses[rate]), _mean(losses[rate].values()), rate),
        default=None,
    )


def _mean(values: Collection[float]) -> float:
    return sum(values) / len(values)


def loss_ratio(
    replicates: Sequence[Mapping[str, float]], seeds: Sequence[int], baseline: Mapping[int, float]
) -> float | None:
    """Mean over shared replicates r of loss(trial, r) / loss(baseline, r).

    Args:
        replicates: Reported numbers of each replicate.
        seeds: The replicates' seeds, in the same order.
        baseline: Loss of the baseline by seed.

    Returns:
        The ratio, or None if trial and baseline share no replicate.
    """
    ratios = [
        replicate["loss"] / baseline[seed]
        for replicate, seed in zip(replicates, seeds, strict=True)
        if seed in baseline
    ]
    return sum(ratios) / len(ratios) if ratios else None
