"""A trial and what came of it: the values that every other module passes around."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, TypeVar

Phase = Literal["baseline", "search", "confirmation"]
State = Literal["complete", "pruned", "failed", "running", "waiting"]
Settings = Mapping[str, float | int | str]
Network = TypeVar("Network")

PHASES: tuple[Phase, ...] = ("baseline", "search", "confirmation")
# What displays call the phases.
TITLES: Mapping[Phase, str] = {
    "baseline": "baseline",
    "search": "search",
    "confirmation": "confirm",
}
ENDED: frozenset[State] = frozenset({"complete", "pruned", "failed"})


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one trial; written once, never changed.

    Attributes:
        trial_id: ``search/12``, ``baseline/0``, ``confirmation/3``.
        attempt: The execution of the cohort that brought it, from 1.
        state: ``complete``, ``pruned`` (stopped early) or ``failed``.
        reason: Why it failed or was stopped, a sentence for people.
        metrics: Mean of each reported number over the trial's replicates; empty unless complete.
        replicates: The same numbers for each replicate, in the order of the trial's seeds.
        loss_ratio: Loss over the baseline's, mean over shared replicates (search trials only).
        num_steps: Training steps done.
        train_s: Seconds of training, summed over replicates.
        standings: Where trials of its cohort were stopped early: by each of those steps that it
            reached, the numbers that it was compared by there, means over its replicates. None
            where there is nothing of the kind.
        curves: Path of the cohort's curves (Parquet) below the storage.
        neurons: Path of the cohort's neurons (Parquet) below the storage.
        weights: Path of the trial's networks (safetensors) below the storage; kept of confirmation
            trials only.
    """

    trial_id: str
    attempt: int
    state: State
    reason: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    replicates: tuple[Mapping[str, float], ...] = ()
    loss_ratio: float | None = None
    num_steps: int
    train_s: float
    standings: Mapping[str, Mapping[str, float]] | None = None
    curves: str | None = None
    neurons: str | None = None
    weights: str | None = None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One point of a phase: its settings, its seeds, its cohort, and its result if it has one.

    Attributes:
        phase: The study it belongs to.
        number: Its number in that study, from 0.
        settings: Every setting of the network, varied or not.
        varied: Names of the settings that the search varies.
        seeds: One for each replicate.
        cohort_id: The cohort it is trained in.
        role: In confirmation, what it stands for: ``baseline``, ``search/12``,
            ``search/12 at 512`` for a setting moved to the baseline's width, or
            ``search/3 as enqueued`` for the best enqueued one.
        same_as: The earlier trial of the same settings and seeds whose result it has; it is not
            trained. ``search/3``, or ``search/3 of NAME`` for another sweep's.
        memory: What the sampler must know of it besides, to go on after an interruption.
        state: What is known of it now.
        attempts: How often its cohort was started.
        result: What came of it, once it has ended.
        mlflow_run_id: Its run in MLflow, once it is there.
    """

    phase: Phase
    number: int
    settings: Settings
    varied: tuple[str, ...]
    seeds: tuple[int, ...]
    cohort_id: str
    role: str | None = None
    same_as: str | None = None
    memory: Mapping[str, Any] = field(default_factory=dict)
    state: State = "waiting"
    attempts: int = 0
    result: Result | None = None
    mlflow_run_id: str | None = None

    @property
    def trial_id(self) -> str:
        """``search/12``: unique in a sweep."""
        return f"{self.phase}/{self.number}"

    @property
    def params(self) -> dict[str, float | int | str]:
        """The settings that the search varies."""
        return {name: self.settings[name] for name in self.varied}


@dataclass(frozen=True)
class Told:
    """What Optuna is told of a trial that has ended.

    Attributes:
        values: A number for each objective, or None for a trial that is told as pruned.
        constraints: Numbers that are feasible at or below 0, by name, sorted; may be none.
    """

    values: tuple[float, ...] | None
    constraints: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EarlierTrial:
    """An ended search trial of an earlier sweep, from which a search is started warm.

    Attributes:
        sweep: The earlier sweep.
        settings: Every setting of the network.
        seeds: One for each replicate.
        result: What came of it.
        is_same: Whether it was trained by the same versions and in the same precision, so that
            its numbers are those that the same point would have here.
    """

    sweep: str
    settings: Settings
    seeds: tuple[int, ...]
    result: Result
    is_same: bool

    @property
    def label(self) -> str:
        """``search/3 of NAME``: unique in a ledger."""
        return f"{self.result.trial_id} of {self.sweep}"


@dataclass(frozen=True, kw_only=True)
class Point:
    """Settings and seeds that are to become a trial; see ``Trial``."""

    settings: Settings
    seeds: tuple[int, ...]
    varied: tuple[str, ...] = ()
    role: str | None = None
    same_as: str | None = None
    memory: Mapping[str, Any] = field(default_factory=dict)


def replicate_seeds(sweep_seed: int, num: int, *, fresh: bool) -> tuple[int, ...]:
    """Seeds of replicates 0 to ``num - 1``, the same for every trial of a sweep.

    Baseline and search share theirs (common random numbers); confirmation uses ``fresh`` ones
    that no search trial has seen. A million apart between sweep seeds, so that two sweeps with
    different seeds share nothing.
    """
    first = sweep_seed * 1_000_000 + (500_000 if fresh else 0)
    return tuple(range(first, first + num))


def by_trial(
    trials: Iterable[Trial], networks: Iterable[Network]
) -> Iterator[tuple[Trial, list[Network]]]:
    """Each trial with what there is of its networks, one for each of its seeds.

    Args:
        trials: A cohort's trials.
        networks: Something of each network, trial by trial and seed by seed.
    """
    remaining = iter(networks)
    for trial in trials:
        yield trial, list(islice(remaining, len(trial.seeds)))
