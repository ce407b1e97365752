"""Whether MLflow shows a sweep as the ledger and the storage have it: all of it, and once."""

from collections import Counter, defaultdict
from statistics import fmean
from typing import Any

import pyarrow.parquet as pq
from mlflow import MlflowClient
from shell import Shell

LABELS = ("trial_id", "replicate", "seed", "step")
# Beside the points of its curves a run has one of each of these, if at all.
ONCE = ("train_s", "loss_ratio")


def check_mlflow(shell: Shell, name: str, tracking_uri: str) -> None:
    """One ended run a trial and one summary, every point of every curve in it exactly once."""
    rows = {row["trial_id"]: row for row in shell.trials(name)}
    curves = _curves(shell, name)
    client = MlflowClient(tracking_uri)
    experiment = client.get_experiment_by_name(f"monosweep/{name}")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    found = Counter(run.data.tags.get("monosweep.trial", "summary") for run in runs)
    assert found == Counter(["summary", *rows])
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        trial_id = run.data.tags.get("monosweep.trial")
        if trial_id is None:
            assert "mlflow.note.content" in run.data.tags
            continue
        assert run.info.run_id == rows[trial_id]["mlflow_run_id"]
        history = {
            metric: [
                (point.step, point.value)
                for point in client.get_metric_history(run.info.run_id, metric)
            ]
            for metric in run.data.metrics
        }
        once = {m: points for m, points in history.items() if m in ONCE or m.startswith("param.")}
        assert all(len(points) == 1 for points in once.values()), once
        assert {m: sorted(p) for m, p in history.items() if m not in once} == curves[trial_id]


def _curves(shell: Shell, name: str) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Of each trial and metric the points over steps, means over replicates."""
    values: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    exported = shell.exported(name) / "curves.parquet"
    rows: list[dict[str, Any]] = pq.read_table(exported).to_pylist()
    for row in rows:
        for metric in row.keys() - LABELS:
            values[row["trial_id"], metric, row["step"]].append(row[metric])
    curves: dict[str, dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for trial_id, metric, step in sorted(values):
        curves[trial_id][metric].append((step, fmean(values[trial_id, metric, step])))
    return {trial_id: dict(metrics) for trial_id, metrics in curves.items()}
