"""Confirmation: which settings are trained again, on seeds that the search never saw.

The best of many noisy trials looks better than it is. So the finalists and the baseline are
trained again on fresh seeds, paired seed by seed; ``findings`` says what came of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from service.front import finalists, ranked
from service.objective import Objective
from service.trials import Point, Settings, Trial

BASELINE = "baseline"
# Between a search trial's id and the baseline's width, at which it is confirmed but cannot win.
_AT = " at "


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Settings to confirm, and what they stand for.

    Attributes:
        role: ``baseline``, a search trial's id, or ``search/12 at 512``.
        settings: Every setting of the network.
        is_finalist: Whether it can win; the setting moved to the baseline's width cannot, it
            tells what of the gain is the width's.
    """

    role: str
    settings: Settings
    is_finalist: bool


def candidates(
    baseline: Settings, trials: Sequence[Trial], objective: Objective, num_finalists: int
) -> list[Candidate]:
    """The baseline, the finalists, and the best setting at the baseline's own width.

    The last is the best feasible search trial of that width; where the search tried none, it is
    the best finalist's setting moved to that width. None is added where a finalist has it already,
    or where a limit forbids that width.

    Args:
        baseline: The baseline's settings.
        trials: The search's trials.
        objective: What the search is after.
        num_finalists: How many of them to confirm.

    Returns:
        The candidates, the baseline first; none where no trial is feasible.
    """
    chosen = finalists(trials, objective, num_finalists)
    if not chosen:
        return []
    found = [Candidate(role=BASELINE, settings=baseline, is_finalist=False)]
    found += [
        Candidate(role=trial.trial_id, settings=trial.settings, is_finalist=True)
        for trial in chosen
    ]
    width = baseline["num_neurons"]
    is_there = any(trial.settings["num_neurons"] == width for trial in chosen)
    if is_there or not objective.allows_width(float(width)):
        return found
    ranking = ranked(trials, objective)
    same_width = next((t for t in ranking if t.settings["num_neurons"] == width), chosen[0])
    return [
        *found,
        Candidate(
            role=f"{same_width.trial_id}{_AT}{width}",
            settings={**same_width.settings, "num_neurons": width},
            is_finalist=False,
        ),
    ]


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
    return {role for role in roles if role != BASELINE and _AT not in role}
