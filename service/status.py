"""Where a sweep stands, as numbers for programs and people."""

from collections import Counter
from collections.abc import Sequence

from service.front import front, ranked
from service.ledger import Ledger, SweepRecord
from service.objective import Objective, baseline_losses, baseline_rate, number, objective_of
from service.recorded import closed_of, spec_of
from service.trials import PHASES, Trial
from service.verdict import Json, goals_and_limits

# A worker takes some seconds to start; so long it never takes where there is room for it.
WORKER_S = 30.0
STATES = ("complete", "pruned", "failed", "running", "waiting")


def status(ledger: Ledger, name: str) -> Json:
    """State, counts, baseline, best and front so far of a sweep.

    ``trials`` counts the search's trials against its budget; ``phases`` counts every phase's.

    Raises:
        SweepNotFoundError: If there is none of that name.
    """
    record = ledger.sweep(name)
    spec = spec_of(record)
    objective = objective_of(spec)
    trials = ledger.trials(name)
    search = [trial for trial in trials if trial.phase == "search"]
    counts = _counts(search)
    closed = closed_of(record)
    counts["waiting"] += max(record.num_trials - len(search), 0)
    return {
        "name": name,
        "phase": record.phase,
        "state": record.state,
        "failure": record.failure,
        "num_trials": record.num_trials,
        "search_ended": closed.sentence if closed else None,
        "resolved": record.resolved,
        "waits_for_worker": waits_for_worker(ledger, record),
        "trials": counts,
        "phases": {
            phase: _counts([trial for trial in trials if trial.phase == phase]) for phase in PHASES
        },
        "baseline": baseline_so_far(objective, trials),
        **goals_and_limits(objective),
        "max_loss_ratio": objective.max_loss_ratio,
        "best": best_so_far(objective, search),
        "front": [_shown(trial, objective) for trial in front(search, objective)],
        "verdict": record.verdict["sentence"] if record.verdict else None,
    }


def waits_for_worker(ledger: Ledger, record: SweepRecord) -> bool:
    """Whether a sweep is driven, and nothing of it is trained since no worker takes its cohorts."""
    return record.state == "running" and ledger.waits_for_worker(record.name, WORKER_S)


def _counts(trials: Sequence[Trial]) -> dict[str, int]:
    found = Counter(trial.state for trial in trials)
    return {state: found[state] for state in STATES}  # type: ignore[index]


def baseline_so_far(objective: Objective, trials: Sequence[Trial]) -> Json | None:
    """Mean loss and ceiling of the baseline as far as it is known, or None.

    The ceiling is None where the sweep has none.
    """
    baseline = [trial for trial in trials if trial.phase == "baseline"]
    rate = baseline_rate(baseline)
    if rate is None:
        return None
    losses = baseline_losses(baseline, rate)
    loss = sum(losses.values()) / len(losses)
    return {
        "loss": loss,
        "ceiling": None if objective.max_loss_ratio is None else loss * objective.max_loss_ratio,
        "learning_rate": rate,
    }


def best_so_far(objective: Objective, search: Sequence[Trial]) -> Json | None:
    """The best feasible search trial, or None; of several objectives the first decides."""
    ranking = ranked(search, objective)
    return _shown(ranking[0], objective) if ranking else None


def _shown(trial: Trial, objective: Objective) -> Json:
    """A feasible trial: the numbers that decide, its loss, and what was varied."""
    assert trial.result is not None
    return {
        "trial": trial.trial_id,
        **{name: number(name, trial.result, trial.settings) for name in objective.names},
        "loss": trial.result.metrics["loss"],
        "loss_ratio": trial.result.loss_ratio,
        "params": trial.params,
    }
