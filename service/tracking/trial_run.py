"""What a trial's run carries: its settings as params, its curves and numbers, tags to filter by."""

import pyarrow as pa
from mlflow.entities import Metric

from service.tracking.descriptions import NOTE, of_trial
from service.tracking.facts import Facts
from service.trials import Trial

_CURVE_LABELS = ("trial_id", "replicate", "seed", "step")


def params(trial: Trial, facts: Facts) -> dict[str, object]:
    """All that was set, so that a comparison shows whatever differs, also between sweeps."""
    return {
        **trial.settings,
        "seeds": _seeds(trial),
        **{f"task.{name}": value for name, value in facts.task.items()},
        **{f"training.{name}": value for name, value in facts.training.items()},
    }


def metrics(trial: Trial, curves: pa.Table | None, facts: Facts, at: int) -> list[Metric]:
    """Its numbers and curves.

    Args:
        trial: An ended trial.
        curves: Its rows of the cohort's curves, or None if it has none.
        facts: Of its sweep.
        at: When, in milliseconds: the run's own time, so that logging twice leaves one point.
    """
    found = [*(_over_steps(curves, at) if curves is not None else []), *_numbers(trial, facts, at)]
    # MLflow compares runs by the metric that it was told first, until somebody picks another.
    return sorted(found, key=lambda metric: metric.key != facts.objective.first.name)


def tags(trial: Trial, facts: Facts, experiment_id: str) -> dict[str, str]:
    """What a run is filtered by, and what it says to people.

    Args:
        trial: An ended trial.
        facts: Of its sweep.
        experiment_id: MLflow's, for links.
    """
    assert trial.result is not None
    result = trial.result
    optional = {
        "feasible": word(facts.is_feasible(trial)) if trial.phase == "search" else None,
        "role": trial.role,
        "same_as": trial.same_as,
        "reason": result.reason,
    }
    return {
        **common_tags(facts),
        "phase": trial.phase,
        "state": result.state,
        "cohort": trial.cohort_id,
        "seeds": _seeds(trial),
        **{name: value for name, value in optional.items() if value is not None},
        NOTE: of_trial(trial, facts, experiment_id),
    }


def common_tags(facts: Facts) -> dict[str, str]:
    """Tags that the summary has as well."""
    return {
        "sweep": facts.spec.name,
        "device": facts.device,
        "precision": facts.precision,
        **{f"version.{name}": value for name, value in facts.versions.items()},
        # MLflow's own columns for where a run is from.
        "mlflow.source.name": "monosweep",
        "mlflow.source.type": "LOCAL",
    }


def word(value: bool) -> str:
    """A yes or no, as filters write it."""
    return "true" if value else "false"


def _seeds(trial: Trial) -> str:
    return " ".join(str(seed) for seed in trial.seeds)


def _numbers(trial: Trial, facts: Facts, at: int) -> list[Metric]:
    """What it has once: at step 0, so that MLflow draws bars and no curves of one point."""
    assert trial.result is not None
    result = trial.result
    values: dict[str, float] = {}
    if result.loss_ratio is not None:
        values["loss_ratio"] = result.loss_ratio
    # Params are strings and sort wrongly ("1e-05" after "10.0"): what the sweep varies is a metric
    # too, also of the baseline, where it is a number.
    for name in facts.spec.space.varied:
        if not isinstance(value := trial.settings[name], str):
            values[f"param.{name}"] = float(value)
    values["train_s"] = result.train_s
    return [Metric(name, value, at, 0) for name, value in values.items()]


def _over_steps(curves: pa.Table, at: int) -> list[Metric]:
    """Curves as metrics over steps, the mean over the trial's replicates."""
    names = [name for name in curves.column_names if name not in _CURVE_LABELS]
    means = curves.group_by("step").aggregate([(name, "mean") for name in names])
    return [
        Metric(name, row[f"{name}_mean"], at, row["step"])
        for row in means.sort_by("step").to_pylist()
        for name in names
    ]
