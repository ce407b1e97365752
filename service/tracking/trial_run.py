"""What a trial's run carries: its name, its settings as params, its curves and tags."""

from collections.abc import Mapping

import pyarrow as pa
from mlflow.entities import Metric

from service.objective import Objective
from service.tracking.words import version_tags, word
from service.trials import Trial

# Short, so that a list of runs can be read.
_SHORT = {"initial_bias": "bias", "bias_decay": "decay", "num_neurons": "k", "learning_rate": "lr"}


def run_name(trial: Trial) -> str:
    """What a list of runs calls it."""
    shown = trial.params or {"num_neurons": trial.settings["num_neurons"]}
    special = [
        f"{_SHORT.get(name, name)} {value:.3g}"
        if isinstance(value, float)
        else f"{_SHORT.get(name, name)} {value}"
        for name, value in shown.items()
    ]
    return " ".join([trial.trial_id, *filter(None, [trial.role]), *special])


def params(trial: Trial) -> dict[str, object]:
    """Its settings and seeds."""
    return {**trial.settings, "seeds": " ".join(str(seed) for seed in trial.seeds)}


def final_metrics(trial: Trial, at: int) -> list[Metric]:
    """Numbers that it has once, at its last step."""
    assert trial.result is not None
    result = trial.result
    values: dict[str, float] = {"train_s": result.train_s}
    if result.loss_ratio is not None:
        values["loss_ratio"] = result.loss_ratio
    # Params are strings and sort wrongly ("1e-05" after "10.0"): numbers are metrics too.
    for name, value in trial.params.items():
        if not isinstance(value, str):
            values[f"param.{name}"] = float(value)
    return [Metric(name, value, at, result.num_steps) for name, value in values.items()]


def curve_metrics(curves: pa.Table, at: int) -> list[Metric]:
    """Curves as metrics over steps, the mean over the trial's replicates."""
    names = [name for name in curves.column_names if name not in _CURVE_LABELS]
    means = curves.group_by("step").aggregate([(name, "mean") for name in names])
    return [
        Metric(name, row[f"{name}_mean"], at, row["step"])
        for row in means.sort_by("step").to_pylist()
        for name in names
    ]


_CURVE_LABELS = ("trial_id", "replicate", "seed", "step")


def tags(
    trial: Trial, sweep: str, objective: Objective, versions: Mapping[str, str]
) -> dict[str, str]:
    """What a run is filtered by."""
    assert trial.result is not None
    result = trial.result
    found = {
        "sweep": sweep,
        "phase": trial.phase,
        "state": result.state,
        "cohort": trial.cohort_id,
        "seeds": " ".join(str(seed) for seed in trial.seeds),
        **version_tags(versions),
    }
    if trial.phase == "search":
        found["feasible"] = word(objective.is_feasible(result, trial.settings))
    if trial.role is not None:
        found["role"] = trial.role
    if trial.same_as is not None:
        found["same_as"] = trial.same_as
    if result.reason is not None:
        found["reason"] = result.reason
    return found
