"""What a list of runs calls each: its trial, what is special about it, its settings in short."""

from collections.abc import Iterable, Mapping

from service.standing import is_finalist
from service.tracking.facts import Facts
from service.trials import Trial
from service.verdict import Json

WINNER, FINALIST, BEST_SO_FAR = "winner", "finalist", "best so far"

# Short, so that a list of runs can be read.
_SHORT = {"initial_bias": "bias", "bias_decay": "decay", "num_neurons": "k", "learning_rate": "lr"}


def run_name(trial: Trial, facts: Facts, standing: str | None = None) -> str:
    """``search/13 winner: bias -0.837 decay 0.0776 k 1024``.

    What is special comes right after the number: MLflow's pages cut names off.

    Args:
        trial: An ended trial.
        facts: Of its sweep.
        standing: See ``standings``.
    """
    marks = ", ".join(filter(None, [standing, _special(trial, facts)]))
    who = " ".join(filter(None, [trial.trial_id, trial.role, marks]))
    return f"{who}: {' '.join(_settings(trial))}"


def standings(best: Trial | None, verdict: Json | None) -> dict[str, str]:
    """Which search trials stand out, and as what; of a verdict's finalists, else the best so far.

    Args:
        best: The best feasible search trial so far, if there is one.
        verdict: The verdict, if there is one.
    """
    if verdict is None:
        return {} if best is None else {best.trial_id: BEST_SO_FAR}
    found = {row["role"]: FINALIST for row in verdict.get("finalists", ()) if is_finalist(row)}
    if verdict["winner"]:
        found[verdict["winner"]["trial"]] = WINNER
    return found


def _special(trial: Trial, facts: Facts) -> str | None:
    """What a result is that does not speak for itself."""
    assert trial.result is not None
    result = trial.result
    if trial.same_as is not None:
        return f"same as {trial.same_as}"
    if result.state == "pruned":
        return f"stopped at {result.num_steps}"
    if result.state == "failed":
        return "diverged" if (result.reason or "").startswith("diverged") else "failed"
    if trial.phase == "search" and not facts.is_feasible(trial):
        return "infeasible"
    return None


def _settings(trial: Trial) -> Iterable[str]:
    """What the search varied; of baseline and confirmation, whose seeds differ, the seed."""
    if trial.phase == "search":
        return _shortened(trial.params)
    shown = {name: trial.settings[name] for name in ("learning_rate", "num_neurons")}
    return (f"seed {trial.seeds[0]}", *_shortened(shown))


def _shortened(settings: Mapping[str, float | int | str]) -> Iterable[str]:
    return (
        f"{_SHORT.get(name, name)} {value:.3g}"
        if isinstance(value, float)
        else f"{_SHORT.get(name, name)} {value}"
        for name, value in settings.items()
    )
