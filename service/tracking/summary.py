"""What the summary run has in numbers: the search so far, and the verdict."""

from collections.abc import Mapping, Sequence

from mlflow.entities import Metric

from service.status import baseline_so_far
from service.tracking.facts import Facts
from service.tracking.trial_run import word
from service.trials import Trial
from service.verdict import Json


def search_metrics(
    facts: Facts, baseline: Sequence[Trial], best: Trial | None, at: int, step: int
) -> list[Metric]:
    """The ceiling, and the best trial so far.

    Args:
        facts: Of the sweep.
        baseline: Baseline trials that have ended.
        best: The best feasible search trial, if there is one.
        at: When, in milliseconds; the run's own time.
        step: Search trials that have ended, so that the best becomes a curve over them.
    """
    values: dict[str, float | None] = {}
    if (known := baseline_so_far(facts.objective, baseline)) is not None:
        values |= {"search.baseline_loss": known["loss"], "search.ceiling": known["ceiling"]}
    if best is not None and best.result is not None:
        values |= {f"search.best_{name}": value for name, value in best.result.metrics.items()}
        values["search.best_loss_ratio"] = best.result.loss_ratio
    return [Metric(name, value, at, step) for name, value in values.items() if value is not None]


def verdict_metrics(verdict: Json, at: int, step: int) -> list[Metric]:
    """The verdict's numbers, over fresh seeds.

    Args:
        verdict: The verdict.
        at: When, in milliseconds; the run's own time.
        step: Search trials that have ended: MLflow shows the numbers of the last step, and a sweep
            that is extended has another verdict.
    """
    margin = verdict["loss_margin"]
    values: dict[str, float] = {} if margin is None else {"loss_margin": margin}
    for name in ("loss_ratio", "gain"):
        values |= {f"{name}.{end}": value for end, value in (verdict[name] or {}).items()}
    for who in ("baseline", "winner"):
        for name, value in (verdict[who] or {}).items():
            if isinstance(value, Mapping) and "mean" in value:
                values[f"{who}.{name}"] = value["mean"]
    if margin is not None and "baseline.loss" in values:
        values["ceiling"] = values["baseline.loss"] * (1.0 + margin)
    return [Metric(name, value, at, step) for name, value in values.items()]


def verdict_tags(verdict: Json) -> dict[str, str]:
    """Whether there is a winner, who it is, and what it was set to."""
    found = {"confirmed": word(verdict["confirmed"]), "winner": "none"}
    if verdict["winner"]:
        found["winner"] = verdict["winner"]["trial"]
        settings = verdict["winner"].get("params", {})
        found |= {f"winner.{name}": str(value) for name, value in settings.items()}
    return found
