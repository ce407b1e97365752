"""What confirmation found: is a finalist better on fresh seeds, within every limit?

A finalist passes only if two statements hold at once. It is within the limits: the interval of each
limited number lies within its bound; for the loss ratio that is non-inferiority of the loss. And it
is better than the baseline, paired seed by seed: of at least one objective the interval of the gain
lies above 0 (superiority).

The intervals are corrected (Bonferroni) for the number of settings that were ever confirmed in the
sweep, extensions counted in, and those of the gains also for the number of objectives that are
measured, of which one is enough; so the chance of any false winner stays at the stated level. All
limits must hold together, which needs no correction for their number. The width is known, not
measured: it needs none either.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from service.confirmation import BASELINE, Candidate, finalists_ever
from service.front import as_gains, undominated
from service.intervals import Interval, mean_interval
from service.objective import (
    LOSS_RATIO,
    NUM_NEURONS,
    Goal,
    Objective,
    in_words,
    number,
)
from service.shortfalls import beyond_limits, no_gain
from service.trials import Result, Settings, Trial

Numbers = Mapping[str, float | None]

# What a verdict shows of each candidate, with intervals.
SHOWN = ("loss", "monosemantic_per_feature", "monosemantic_per_neuron", "feature_coverage")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What confirmation found of one candidate, against the baseline on the same seeds.

    Attributes:
        candidate: The candidate.
        num_seeds: Seeds on which both it and the baseline ended complete.
        metrics: 95% interval of each shown number, and of each that decides; empty with fewer
            than two seeds.
        loss_ratio: 95% interval of the paired loss ratio, or None.
        gains: 95% interval of how much better each objective is, by name; empty with fewer than
            two seeds.
        shortfalls: Why it cannot win, in words; empty if both statements hold.
        numbers: The same numbers of each training that has the baseline's beside it, by seed.
    """

    candidate: Candidate
    num_seeds: int
    metrics: Mapping[str, Interval]
    loss_ratio: Interval | None
    gains: Mapping[str, Interval]
    shortfalls: tuple[str, ...]
    numbers: Mapping[int, Numbers] = field(default_factory=dict)

    @property
    def passes(self) -> bool:
        """Whether it is within every limit and better than the baseline."""
        return not self.shortfalls

    def interval(self, name: str) -> Interval:
        """95% interval of a number that decides; of the width, which is known, one without width.

        Raises:
            KeyError: With fewer than two seeds.
        """
        if name == LOSS_RATIO and self.loss_ratio is not None:
            return self.loss_ratio
        if name == NUM_NEURONS:
            width = float(self.candidate.settings["num_neurons"])
            return Interval(width, width, width)
        return self.metrics[name]


def findings(
    chosen: Sequence[Candidate], trials: Sequence[Trial], objective: Objective
) -> list[Finding]:
    """What the confirmation trials say of every candidate, the baseline first.

    Args:
        chosen: The candidates, the baseline among them.
        trials: The ended confirmation trials.
        objective: What the search is after.
    """
    by_role: dict[str, dict[int, Result]] = {}
    failures: dict[str, list[str]] = {}
    for trial in trials:
        role = str(trial.role)
        if trial.result is not None and trial.result.state == "complete":
            by_role.setdefault(role, {})[trial.seeds[0]] = trial.result
        elif trial.result is not None:
            failures.setdefault(role, []).append(f"seed {trial.seeds[0]} {trial.result.reason}")
    tested = {candidate.role for candidate in chosen if candidate.is_finalist}
    tested |= finalists_ever(trials)
    names = (*dict.fromkeys((*SHOWN, LOSS_RATIO, *objective.names)),)
    losses = {seed: one.metrics["loss"] for seed, one in by_role.get(BASELINE, {}).items()}
    numbers = {
        candidate.role: {
            seed: _numbers(names, result, candidate.settings, losses[seed])
            for seed, result in by_role.get(candidate.role, {}).items()
            if losses.get(seed, 0.0) > 0.0
        }
        for candidate in chosen
    }
    return [
        _finding(
            candidate,
            numbers[candidate.role],
            numbers[BASELINE],
            failures.get(candidate.role, []),
            objective,
            num_tested=max(len(tested), 1),
        )
        for candidate in chosen
    ]


def _numbers(names: Sequence[str], result: Result, settings: Settings, loss: float) -> Numbers:
    """What decides and what is shown of one training, beside the baseline's loss on its seed."""
    beside = replace(result, loss_ratio=result.metrics["loss"] / loss)
    return {name: number(name, beside, settings) for name in names}


class _Paired:
    """A candidate's numbers beside another's, on the seeds that both have.

    Attributes:
        unknown: The seeds that it lacks a finite number on, in words.

    Args:
        mine: Its numbers by seed.
        theirs: The other's numbers by seed.
    """

    def __init__(self, mine: Mapping[int, Numbers], theirs: Mapping[int, Numbers]) -> None:
        self.unknown = [
            f"seed {seed} has no finite {in_words(name)}"
            for seed, numbers in sorted(mine.items())
            for name, value in numbers.items()
            if value is None
        ]
        self._pairs = [
            (mine[seed], theirs[seed])
            for seed in sorted(set(mine) & set(theirs))
            if None not in (*mine[seed].values(), *theirs[seed].values())
        ]

    def __len__(self) -> int:
        return len(self._pairs)

    def numbers(self, name: str) -> list[float]:
        """The candidate's own, one for each seed."""
        return [mine for mine, _ in self._both(name)]

    def gains(self, goal: Goal) -> list[float]:
        """How much better it is than the other, one for each seed."""
        return [goal.gain(mine, theirs) for mine, theirs in self._both(goal.name)]

    def ratios(self, name: str) -> list[float]:
        """Its numbers over the other's, one for each seed; the other's are not 0."""
        return [mine / theirs for mine, theirs in self._both(name)]

    def _both(self, name: str) -> list[tuple[float, float]]:
        both = [(mine[name], theirs[name]) for mine, theirs in self._pairs]
        return [(mine, its) for mine, its in both if mine is not None and its is not None]


def _finding(
    candidate: Candidate,
    mine: Mapping[int, Numbers],
    theirs: Mapping[int, Numbers],
    failures: Sequence[str],
    objective: Objective,
    *,
    num_tested: int,
) -> Finding:
    names = [
        name
        for name in dict.fromkeys((*SHOWN, *objective.names))
        if name not in (LOSS_RATIO, NUM_NEURONS)
    ]
    paired = _Paired(mine, theirs)
    failures = (*failures, *paired.unknown)
    if len(paired) < 2:
        return Finding(
            candidate=candidate,
            num_seeds=len(paired),
            metrics={},
            loss_ratio=None,
            gains={},
            shortfalls=(*failures, f"only {len(paired)} seeds shared with the baseline"),
        )
    return Finding(
        candidate=candidate,
        num_seeds=len(paired),
        metrics={name: mean_interval(paired.numbers(name)) for name in names},
        loss_ratio=mean_interval(paired.numbers(LOSS_RATIO)),
        gains={goal.name: mean_interval(paired.gains(goal)) for goal in objective.goals},
        shortfalls=(
            *failures,
            *beyond_limits(paired.numbers, objective.limits, num_tested),
            *no_gain(paired.gains, objective.goals, num_tested),
        ),
        numbers=mine,
    )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How one candidate compares with another, seed by seed.

    Nothing is decided by it: its intervals are not corrected.

    Attributes:
        num_seeds: Seeds on which both, and the baseline, ended complete.
        gain: 95% interval of how much better it is in the first objective.
        loss_ratio: 95% interval of its loss over the other's.
    """

    num_seeds: int
    gain: Interval
    loss_ratio: Interval


def compared(one: Finding, other: Finding, objective: Objective) -> Comparison | None:
    """One candidate beside another; None with fewer than two shared seeds."""
    with_loss = {seed: numbers for seed, numbers in other.numbers.items() if numbers["loss"]}
    paired = _Paired(one.numbers, with_loss)
    if len(paired) < 2:
        return None
    return Comparison(
        num_seeds=len(paired),
        gain=mean_interval(paired.gains(objective.first)),
        loss_ratio=mean_interval(paired.ratios("loss")),
    )


def winner(found: Sequence[Finding], objective: Objective) -> Finding | None:
    """The finalist that is best in the first objective, of those for which both statements hold.

    Ties go to the next objective, then as in the search.
    """
    return next(iter(ranking(passing(found), objective)), None)


def passing(found: Sequence[Finding]) -> list[Finding]:
    """The finalists for which both statements hold."""
    return [finding for finding in found if finding.candidate.is_finalist and finding.passes]


def ranking(found: Sequence[Finding], objective: Objective) -> list[Finding]:
    """Best first, by the means, ties as in the search; only of findings with intervals."""
    gains = _gains(objective)
    return sorted(
        found,
        key=lambda one: (
            tuple(-gain for gain in gains(one)),
            one.candidate.settings["num_neurons"],
            one.interval(LOSS_RATIO).mean,
        ),
    )


def confirmed_front(found: Sequence[Finding], objective: Objective) -> list[Finding]:
    """The passing finalists that no other one is better than in every respect, by the means."""
    return undominated(ranking(passing(found), objective), _gains(objective))


def _gains(objective: Objective) -> Callable[[Finding], tuple[float, ...]]:
    return lambda finding: as_gains(
        objective.goals, [finding.interval(goal.name).mean for goal in objective.goals]
    )


def at_width(found: Sequence[Finding], num_neurons: object, objective: Objective) -> Finding | None:
    """The best setting of this width for which both statements hold, the baseline aside.

    Candidates that cannot win count here: one that was moved to the width, or was enqueued.
    """
    there = [
        finding
        for finding in found
        if finding.candidate.role != BASELINE
        and finding.passes
        and finding.candidate.settings["num_neurons"] == num_neurons
    ]
    first = objective.first.name
    return max(there, key=lambda finding: finding.gains[first].mean, default=None)
