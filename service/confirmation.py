"""Confirmation: which settings are trained again, on seeds that the search never saw.

The best of many noisy trials looks better than it is. So the finalists and the baseline are
trained again on fresh seeds, paired seed by seed; ``findings`` says what came of it. Where points
were enqueued, the best of them is trained again beside the finalists: whoever believed in it learns
how the winner compares.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from service import known_results
from service.front import finalists, ranked
from service.objective import LOSS_RATIO, Objective
from service.trials import Point, Result, Settings, Trial

BASELINE = "baseline"
# Between a search trial's id and the baseline's width, at which it is confirmed but cannot win.
_AT = " at "
# After the id of the best enqueued trial that is no finalist.
_AS_ENQUEUED = " as enqueued"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Settings to confirm, and what they stand for.

    Attributes:
        role: ``baseline``, a search trial's id, ``search/12 at 512``, or ``search/3 as enqueued``.
        settings: Every setting of the network.
        is_finalist: Whether it can win. The setting moved to the baseline's width cannot, it
            tells what of the gain is the width's; nor can the best enqueued one by being that.
        is_enqueued: Whether it is the best of the enqueued ones.
    """

    role: str
    settings: Settings
    is_finalist: bool
    is_enqueued: bool = False

    @property
    def trial_id(self) -> str:
        """The search trial that it stands for; of the baseline its role."""
        return self.role.partition(" ")[0]


def candidates(
    baseline: Settings,
    trials: Sequence[Trial],
    objective: Objective,
    num_finalists: int,
    num_enqueued: int = 0,
) -> list[Candidate]:
    """The baseline, the finalists, the best at the baseline's own width, the best enqueued.

    The best at the baseline's width is the best feasible search trial of that width; where the
    search tried none, it is the best finalist's setting moved to that width. None is added where a
    finalist has it already, or where a limit forbids that width.

    The best enqueued is the best feasible one; where none is, the one that is least beyond the
    limits; where none was trained to its end, the one that came farthest. None is added where a
    finalist has its settings. Nobody is confirmed under two names: where it is the best of the
    baseline's width too, it is confirmed as enqueued.

    Args:
        baseline: The baseline's settings.
        trials: The search's trials, ended.
        objective: What the search is after.
        num_finalists: How many of them to confirm.
        num_enqueued: How many of them, the first ones, were enqueued.

    Returns:
        The candidates, the baseline first; none where no trial is feasible.
    """
    # A setting that was proposed twice is one finalist.
    distinct = known_results.distinct(trials)
    chosen = finalists(distinct, objective, num_finalists)
    if not chosen:
        return []
    enqueued = _best([trial for trial in trials if trial.number < num_enqueued], objective)
    believed = None if enqueued is None else enqueued.settings
    found = [
        Candidate(
            role=trial.trial_id,
            settings=trial.settings,
            is_finalist=True,
            is_enqueued=trial.settings == believed,
        )
        for trial in chosen
    ]
    moved = _at_width(baseline["num_neurons"], chosen, distinct, objective)
    found += [one for one in moved if one.settings != believed]
    if enqueued is not None and not any(one.is_enqueued for one in found):
        found.append(
            Candidate(
                role=f"{enqueued.trial_id}{_AS_ENQUEUED}",
                settings=enqueued.settings,
                is_finalist=False,
                is_enqueued=True,
            )
        )
    return [Candidate(role=BASELINE, settings=baseline, is_finalist=False), *found]


def _at_width(
    width: float | int | str,
    chosen: Sequence[Trial],
    trials: Sequence[Trial],
    objective: Objective,
) -> list[Candidate]:
    """The best setting of a width, or the best of all moved to it; none where a finalist has it."""
    is_there = any(trial.settings["num_neurons"] == width for trial in chosen)
    if is_there or not objective.allows_width(float(width)):
        return []
    ranking = ranked(trials, objective)
    best = next((t for t in ranking if t.settings["num_neurons"] == width), chosen[0])
    return [
        Candidate(
            role=f"{best.trial_id}{_AT}{width}",
            settings={**best.settings, "num_neurons": width},
            is_finalist=False,
        )
    ]


def _best(trials: Sequence[Trial], objective: Objective) -> Trial | None:
    """The best of trials of which perhaps none is feasible; None where all of them failed."""
    ranking = ranked(trials, objective)
    if ranking:
        return ranking[0]
    ended = [(trial, trial.result) for trial in trials if trial.result is not None]
    far_off: list[tuple[tuple[float, ...], Trial]] = [
        ((objective.total_excess(result, trial.settings),), trial)
        for trial, result in ended
        if result.state == "complete"
    ] or [
        (_distance(result, objective), trial) for trial, result in ended if result.state == "pruned"
    ]
    nearest = min(far_off, key=lambda pair: (pair[0], pair[1].number), default=None)
    return None if nearest is None else nearest[1]


def _distance(stopped: Result, objective: Objective) -> tuple[float, ...]:
    """By what trials that were stopped early are ordered, the best first.

    By how far they came, then as early stopping ranked them there.
    """
    came = (-float(stopped.num_steps),)
    if not stopped.standings:  # of a sweep from before they were recorded
        return came
    stood = stopped.standings[max(stopped.standings, key=int)]
    ceilings = (limit for limit in objective.limits if limit.name == LOSS_RATIO)
    beyond = sum(max(limit.excess(stood[LOSS_RATIO]), 0.0) for limit in ceilings)
    compared = next((value for name, value in stood.items() if name != LOSS_RATIO), None)
    if compared is None:
        compared = stood[LOSS_RATIO]
    return (*came, beyond, -objective.first.gain(compared, 0.0))


def points(chosen: Sequence[Candidate], seeds: Sequence[int]) -> list[Point]:
    """One trial for each candidate and fresh seed."""
    return [
        Point(settings=candidate.settings, seeds=(seed,), role=candidate.role)
        for candidate in chosen
        for seed in seeds
    ]


def finalists_ever(trials: Sequence[Trial]) -> set[str]:
    """Search trials that these ended confirmation trials are of, former finalists too."""
    roles = {str(trial.role) for trial in trials if trial.result is not None}
    return {role for role in roles if role != BASELINE and " " not in role}
