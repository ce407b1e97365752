"""Where a sweep stands, as numbers for programs and people."""

from collections import Counter
from collections.abc import Sequence

from service.ledger import Ledger
from service.objective import baseline_losses, baseline_rate, ranked
from service.recorded import spec_of
from service.spec import Spec
from service.trials import PHASES, Trial
from service.verdict import Json

STATES = ("complete", "pruned", "failed", "running", "waiting")


def status(ledger: Ledger, name: str) -> Json:
    """State, counts, baseline and best so far of a sweep.

    ``trials`` counts the search's trials against its budget; ``phases`` counts every phase's.

    Raises:
        SweepNotFoundError: If there is none of that name.
    """
    record = ledger.sweep(name)
    spec = spec_of(record)
    trials = ledger.trials(name)
    search = [trial for trial in trials if trial.phase == "search"]
    counts = _counts(search)
    counts["waiting"] += max(record.num_trials - len(search), 0)
    return {
        "name": name,
        "phase": record.phase,
        "state": record.state,
        "failure": record.failure,
        "num_trials": record.num_trials,
        "resolved": record.resolved,
        "trials": counts,
        "phases": {
            phase: _counts([trial for trial in trials if trial.phase == phase]) for phase in PHASES
        },
        "baseline": baseline_so_far(spec, trials),
        "objective": spec.objective.maximize,
        "max_loss_ratio": 1.0 + spec.objective.loss_margin,
        "best": best_so_far(spec, search),
        "verdict": record.verdict["sentence"] if record.verdict else None,
    }


def _counts(trials: Sequence[Trial]) -> dict[str, int]:
    found = Counter(trial.state for trial in trials)
    return {state: found[state] for state in STATES}  # type: ignore[index]


def baseline_so_far(spec: Spec, trials: Sequence[Trial]) -> Json | None:
    """Mean loss and ceiling of the baseline as far as it is known, or None."""
    baseline = [trial for trial in trials if trial.phase == "baseline"]
    rate = baseline_rate(baseline)
    if rate is None:
        return None
    losses = baseline_losses(baseline, rate)
    loss = sum(losses.values()) / len(losses)
    return {
        "loss": loss,
        "ceiling": loss * (1.0 + spec.objective.loss_margin),
        "learning_rate": rate,
    }


def best_so_far(spec: Spec, search: Sequence[Trial]) -> Json | None:
    """The best feasible search trial, or None."""
    ranking = ranked(search, spec.objective.maximize, spec.objective.loss_margin)
    if not ranking:
        return None
    best = ranking[0]
    assert best.result is not None
    return {
        "trial": best.trial_id,
        spec.objective.maximize: best.result.metrics[spec.objective.maximize],
        "loss": best.result.metrics["loss"],
        "loss_ratio": best.result.loss_ratio,
        "params": best.params,
    }
