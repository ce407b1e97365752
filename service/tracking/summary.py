"""What the summary run says of a verdict."""

from collections.abc import Mapping

from mlflow.entities import Metric

from service.tracking.words import word
from service.verdict import Json


def verdict_metrics(verdict: Json, at: int) -> list[Metric]:
    """The verdict's numbers."""
    margin = verdict["loss_margin"]
    values: dict[str, float] = {} if margin is None else {"loss_margin": margin}
    for name in ("loss_ratio", "gain"):
        values |= {f"{name}.{end}": at for end, at in (verdict[name] or {}).items()}
    for who in ("baseline", "winner"):
        for name, value in (verdict[who] or {}).items():
            if isinstance(value, Mapping) and "mean" in value:
                values[f"{who}.{name}"] = value["mean"]
    return [Metric(name, value, at, 0) for name, value in values.items()]


def front_note(verdict: Json) -> list[str]:
    """The confirmed front as a table in Markdown, where there are several objectives."""
    # Verdicts of the first versions name one objective only.
    names = [goal["name"] for goal in verdict.get("objectives", ())]
    if len(names) < 2:
        return []
    rows = [
        ["", *(name.replace("_", " ") for name in names), "passes"],
        ["---"] * (len(names) + 2),
        *(
            [row["trial"], *(_mean(row, name) for name in names), word(row["passes"])]
            for row in verdict["front"]
        ),
    ]
    return ["\n".join(f"| {' | '.join(row)} |" for row in rows)]


def _mean(row: Json, name: str) -> str:
    """A number of a confirmed setting, with half of its interval; a dash if it has none."""
    found = row.get(name)
    if not isinstance(found, Mapping):
        return "-" if found is None else str(found)
    return f"{found['mean']:.4g} ± {(found['high'] - found['low']) / 2:.2g}"
