"""The verdict: the findings of confirmation in one sentence, and as numbers for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

from service.closed import Closed
from service.confirmation import BASELINE
from service.findings import (
    Comparison,
    Finding,
    at_width,
    compared,
    confirmed_front,
    passing,
    ranking,
    winner,
)
from service.objective import Objective, objective_of
from service.sentence import (
    how_the_enqueued_did,
    sentence,
    what_else_counts,
    why_fewer,
    without_findings,
)
from service.spec import Spec
from service.trials import Trial

Json = dict[str, Any]


def verdict(
    spec: Spec, found: Sequence[Finding], search_trials: Sequence[Trial], num_confirmed: int = 0
) -> Json:
    """The verdict of a finished sweep.

    Args:
        spec: The sweep file.
        found: What confirmation found of each candidate, the baseline first; empty if no search
            trial was feasible, or nothing was to be confirmed.
        search_trials: The search's trials, for their parameters.
        num_confirmed: Search trials that were ever confirmed, former finalists counted in.

    Returns:
        A JSON object; its ``sentence`` is for people.
    """
    objective = objective_of(spec)
    best = winner(found, objective)
    by_id = {trial.trial_id: trial for trial in search_trials}
    baseline = found[0] if found else None
    same_width = at_width(found, spec.model.num_neurons, objective)
    enqueued = next((finding for finding in found if finding.candidate.is_enqueued), None)
    beside = (
        compared(best, enqueued, objective) if best and enqueued and best is not enqueued else None
    )
    finalists = [finding for finding in found if finding.candidate.is_finalist]
    num_confirmed = max(num_confirmed, len(finalists))
    return {
        "name": spec.name,
        "confirmed": best is not None,
        **goals_and_limits(objective),
        "num_seeds": best.num_seeds if best else _num_seeds(spec),
        "loss_margin": spec.objective.loss_margin,
        "loss_ratio": best.loss_ratio.as_json() if best and best.loss_ratio else None,
        "gain": best.gains[objective.first.name].as_json() if best else None,
        "baseline": _shown(baseline, objective) if baseline else None,
        "winner": _winner(best, objective, by_id) if best else None,
        "front": _front(found, objective, by_id),
        "best_at_baseline_width": _shown(same_width, objective) if same_width else None,
        "enqueued": _enqueued(enqueued, beside, objective) if enqueued else None,
        "finalists": [
            _shown(finding, objective) for finding in found if finding.candidate.role != BASELINE
        ],
        "num_confirmed": num_confirmed,
        "sentence": without_findings(spec, objective, search_trials)
        if baseline is None
        else " ".join(
            [
                sentence(spec, objective, best, same_width, found),
                *how_the_enqueued_did(objective, best, enqueued, beside, by_id),
                *why_fewer(spec, len(finalists), len(search_trials)),
                *what_else_counts(len(finalists), num_confirmed),
            ]
        ),
    }


def _num_seeds(spec: Spec) -> int:
    return 0 if spec.confirmation is None else spec.confirmation.num_seeds


def open_verdict(spec: Spec) -> Json:
    """What stands for the verdict while there is none."""
    return {
        "name": spec.name,
        "confirmed": False,
        **goals_and_limits(objective_of(spec)),
        "num_seeds": 0,
        "loss_margin": spec.objective.loss_margin,
        "loss_ratio": None,
        "gain": None,
        "baseline": None,
        "winner": None,
        "front": [],
        "best_at_baseline_width": None,
        "enqueued": None,
        "finalists": [],
        "num_confirmed": 0,
        "sentence": f"The sweep {spec.name} has no verdict yet.",
    }


def goals_and_limits(objective: Objective) -> Json:
    """What a sweep is after, for programs."""
    return {
        "objective": objective.first.name,
        "objectives": [
            {"name": goal.name, "direction": goal.direction} for goal in objective.goals
        ],
        "limits": [
            {"name": limit.name, limit.words.replace(" ", "_"): limit.bound}
            for limit in objective.limits
        ],
    }


def with_end(said: Json, closed: Closed | None) -> Json:
    """A verdict, or what stands for it, that says where the search ended early."""
    if closed is None:
        return {**said, "search_ended": None}
    sentence = f"{said['sentence']} {closed.sentence}"
    return {**said, "search_ended": closed.sentence, "sentence": sentence}


def _shown(finding: Finding, objective: Objective) -> Json:
    candidate = finding.candidate
    gain = finding.gains.get(objective.first.name)
    return {
        "role": candidate.role,
        "is_finalist": candidate.is_finalist,
        "settings": dict(candidate.settings),
        "num_neurons": candidate.settings["num_neurons"],
        "num_seeds": finding.num_seeds,
        **{name: interval.as_json() for name, interval in finding.metrics.items()},
        "loss_ratio": finding.loss_ratio.as_json() if finding.loss_ratio else None,
        "gain": gain.as_json() if gain else None,
        "gains": {name: interval.as_json() for name, interval in finding.gains.items()},
        "passes": finding.passes and candidate.role != BASELINE,
        "shortfalls": list(finding.shortfalls) if candidate.role != BASELINE else [],
    }


def _winner(finding: Finding, objective: Objective, trials: Mapping[str, Trial]) -> Json:
    role = finding.candidate.role
    return {**_shown(finding, objective), "trial": role, "params": trials[role].params}


def _enqueued(finding: Finding, beside: Comparison | None, objective: Objective) -> Json:
    """The best enqueued setting, and how the winner compares with it, if there is another one."""
    return {
        **_shown(finding, objective),
        "winner_gain": beside.gain.as_json() if beside else None,
        "winner_loss_ratio": beside.loss_ratio.as_json() if beside else None,
    }


def _front(
    found: Sequence[Finding], objective: Objective, trials: Mapping[str, Trial]
) -> list[Json]:
    """The finalists, first those on the confirmed front, then others that pass, then the rest."""
    on_front = confirmed_front(found, objective)
    passed = ranking(passing(found), objective)
    finalists = [finding for finding in found if finding.candidate.is_finalist]
    ordered = {id(one): one for one in (*on_front, *passed, *finalists)}
    return [
        {**_winner(one, objective, trials), "on_front": any(one is other for other in on_front)}
        for one in ordered.values()
    ]
