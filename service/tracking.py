"""MLflow as a projection: an experiment for the sweep, a flat run for each trial, a summary.

Nothing here is the truth: every run can be thrown away and made again from the ledger. Runs are
found by tag or made, by one writer, so nothing is doubled. An outage of MLflow holds up nothing:
what was missed is filled in as soon as it answers again, at the latest by the next ``resume``.
"""

import json
import logging
import os
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Read by MLflow when it is imported: report its use to nobody, give up on a dead server quickly.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")

import pyarrow as pa
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from service.cohort import Cohort
from service.errors import LeaseLostError
from service.ledger import Writer
from service.objective import is_feasible
from service.storage import Storage
from service.trials import Phase, Trial
from service.verdict import Json

TRIAL_TAG = "monosweep.trial"
SUMMARY_TAG = "monosweep.summary"

# Opens the experiment on runs and charts; without it MLflow shows pages for language models.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}

# MLflow's own limit for one call.
METRICS_A_CALL = 1000
RETRY_S = 5.0
# At the end MLflow is waited for as long as it takes runs, but no longer than this without one.
PATIENCE_S = 30.0

logger = logging.getLogger("monosweep")
# It announces every table that it makes in a new database.
logging.getLogger("mlflow").setLevel(logging.WARNING)


class Projection:
    """One sweep's experiment in MLflow. For one thread at a time.

    Args:
        tracking_uri: Where MLflow is.
        artifacts: Folder for artifacts, or None where a server decides.
        sweep: The sweep's name.
        loss_margin: Decides which search trials are tagged feasible.
        versions: Versions of what changes numbers, kept as tags.
    """

    def __init__(
        self,
        tracking_uri: str,
        artifacts: Path | None,
        sweep: str,
        loss_margin: float,
        versions: Mapping[str, str],
    ) -> None:
        self._client = MlflowClient(tracking_uri=tracking_uri)
        self._artifacts = artifacts
        self._sweep = sweep
        self._loss_margin = loss_margin
        self._versions = versions
        self._found_experiment: str | None = None

    @property
    def experiment_id(self) -> str:
        """The sweep's experiment: found, restored if a user deleted it, or made."""
        if self._found_experiment is None:
            name = f"monosweep/{self._sweep}"
            experiment = self._client.get_experiment_by_name(name)
            if experiment is None:
                location = (self._artifacts / self._sweep).as_uri() if self._artifacts else None
                self._found_experiment = self._client.create_experiment(
                    name, location, tags=_EXPERIMENT_TAGS
                )
            else:
                if experiment.lifecycle_stage == "deleted":
                    self._client.restore_experiment(experiment.experiment_id)
                self._found_experiment = str(experiment.experiment_id)
        return self._found_experiment

    def project_trial(self, trial: Trial, curves: pa.Table | None) -> str:
        """Bring a trial's run up to date; its id.

        Args:
            trial: An ended trial.
            curves: Its rows of the cohort's curves, or None if it has none.
        """
        assert trial.result is not None
        result = trial.result
        run = self._run(TRIAL_TAG, trial.trial_id, _run_name(trial))
        run_id = str(run.info.run_id)
        # The run's own time, so that logging a point twice leaves one point.
        at = run.info.start_time
        metrics = [
            *_final_metrics(trial, at),
            *(_curve_metrics(curves, at) if curves is not None else []),
        ]
        for start in range(0, len(metrics), METRICS_A_CALL):
            self._client.log_batch(run_id, metrics=metrics[start : start + METRICS_A_CALL])
        self._client.log_batch(
            run_id,
            params=[Param(name, str(value)) for name, value in _params(trial).items()],
            tags=[RunTag(name, value) for name, value in self._tags(trial).items()],
        )
        self._client.set_terminated(
            run_id,
            "FAILED" if result.state == "failed" else "FINISHED",
            end_time=at + round(result.train_s * 1000),
        )
        return run_id

    def project_summary(self, spec_text: str, verdict: Json | None) -> None:
        """The summary run: the sweep file, and the verdict once there is one."""
        run = self._run(SUMMARY_TAG, self._sweep, "summary")
        run_id = str(run.info.run_id)
        self._client.log_text(run_id, spec_text, "sweep.yaml")
        tags = {"sweep": self._sweep, **_version_tags(self._versions)}
        if verdict is not None:
            tags |= {
                "confirmed": _word(verdict["confirmed"]),
                "mlflow.note.content": verdict["sentence"],
            }
            self._client.log_text(run_id, json.dumps(verdict, indent=2), "verdict.json")
            self._client.log_batch(run_id, _verdict_metrics(verdict, run.info.start_time))
        self._client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
        self._client.set_terminated(run_id, "FINISHED" if verdict is not None else "RUNNING")

    def _run(self, tag: str, value: str, name: str) -> Run:
        found = self._client.search_runs(
            [self.experiment_id], f"tags.`{tag}` = '{value}'", max_results=1
        )
        if found:
            return found[0]
        return self._client.create_run(self.experiment_id, tags={tag: value}, run_name=name)

    def _tags(self, trial: Trial) -> dict[str, str]:
        assert trial.result is not None
        result = trial.result
        tags = {
            "sweep": self._sweep,
            "phase": trial.phase,
            "state": result.state,
            "cohort": trial.cohort_id,
            "seeds": " ".join(str(seed) for seed in trial.seeds),
            **_version_tags(self._versions),
        }
        if trial.phase == "search":
            tags["feasible"] = _word(is_feasible(result, self._loss_margin))
        if trial.role is not None:
            tags["role"] = trial.role
        if result.reason is not None:
            tags["reason"] = result.reason
        return tags


def _version_tags(versions: Mapping[str, str]) -> dict[str, str]:
    return {f"version.{name}": value for name, value in versions.items()}


def _word(value: bool) -> str:
    return "true" if value else "false"


# Short, so that a list of runs can be read.
_SHORT = {"initial_bias": "bias", "bias_decay": "decay", "num_neurons": "k", "learning_rate": "lr"}


def _run_name(trial: Trial) -> str:
    shown = trial.params or {"num_neurons": trial.settings["num_neurons"]}
    special = [
        f"{_SHORT.get(name, name)} {value:.3g}"
        if isinstance(value, float)
        else f"{_SHORT.get(name, name)} {value}"
        for name, value in shown.items()
    ]
    return " ".join([trial.trial_id, *filter(None, [trial.role]), *special])


def _params(trial: Trial) -> dict[str, object]:
    return {**trial.settings, "seeds": " ".join(str(seed) for seed in trial.seeds)}


def _final_metrics(trial: Trial, at: int) -> list[Metric]:
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


def _curve_metrics(curves: pa.Table, at: int) -> list[Metric]:
    """Curves as metrics over steps, the mean over the trial's replicates."""
    names = [name for name in curves.column_names if name not in _CURVE_LABELS]
    means = curves.group_by("step").aggregate([(name, "mean") for name in names])
    return [
        Metric(name, row[f"{name}_mean"], at, row["step"])
        for row in means.sort_by("step").to_pylist()
        for name in names
    ]


_CURVE_LABELS = ("trial_id", "replicate", "seed", "step")


def _verdict_metrics(verdict: Json, at: int) -> list[Metric]:
    values: dict[str, float] = {"loss_margin": verdict["loss_margin"]}
    for name in ("loss_ratio", "gain"):
        values |= {f"{name}.{end}": at for end, at in (verdict[name] or {}).items()}
    for who in ("baseline", "winner"):
        for name, value in (verdict[who] or {}).items():
            if isinstance(value, Mapping) and "mean" in value:
                values[f"{who}.{name}"] = value["mean"]
    return [Metric(name, value, at, 0) for name, value in values.items()]


class Tracking:
    """Keeps MLflow up to date from a thread of its own, as one of the life's watchers.

    Started on entry; on exit it finishes what is queued, as long as MLflow takes it. A trial whose
    run is not complete by then stays marked as missing in the ledger, and ``resume`` fills it in.

    Args:
        projection: The sweep's experiment.
        writer: To record which trials are done.
        storage: Where the curves lie.
        spec_text: The sweep file.
    """

    def __init__(
        self, projection: Projection, writer: Writer, storage: str, spec_text: str
    ) -> None:
        self._projection = projection
        self._sweep = writer.sweep
        self._writer = writer
        self._storage = Storage(storage)
        self._spec_text = spec_text
        self._queue: queue.Queue[Trial | Json | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._given_up = threading.Event()
        self._last_success = time.monotonic()

    def __enter__(self) -> "Tracking":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.put(None)
        self._last_success = time.monotonic()
        while self._thread.is_alive() and time.monotonic() - self._last_success < PATIENCE_S:
            self._thread.join(0.2)
        self._given_up.set()
        if self._thread.is_alive():
            logger.warning(
                "Not every run is in MLflow. When it answers again: monosweep resume %s",
                self._sweep,
            )

    def fill_in(self, trials: Sequence[Trial], verdict: Json | None) -> None:
        """Queue whatever of the sweep is not in MLflow yet."""
        for trial in trials:
            if trial.result is not None and trial.mlflow_run_id is None:
                self._queue.put(trial)
        if verdict is not None:
            self._queue.put(verdict)

    def finished(self, verdict: Json) -> None:
        """Queue the verdict."""
        self._queue.put(verdict)

    # What the life tells its watchers.

    def trial_ended(self, trial: Trial) -> None:
        """Queue the trial's run."""
        self._queue.put(trial)

    def phase_entered(self, phase: Phase, num_trials: int, trials: Sequence[Trial]) -> None:
        """Nothing to show yet."""

    def cohort_started(self, cohort: Cohort) -> None:
        """Nothing to show yet."""

    def cohort_progressed(self, cohort_id: str, num_steps_done: int) -> None:
        """Nothing to show yet."""

    def cohort_died(self, cohort_id: str, reason: str) -> None:
        """Nothing to show: the cohort is tried again."""

    # The thread.

    def _work(self) -> None:
        self._until_done(lambda: self._projection.project_summary(self._spec_text, None))
        while (item := self._queue.get()) is not None and not self._given_up.is_set():
            if isinstance(item, Trial):
                self._until_done(lambda trial=item: self._project(trial))
            else:
                self._until_done(
                    lambda verdict=item: self._projection.project_summary(self._spec_text, verdict)
                )

    def _project(self, trial: Trial) -> None:
        assert trial.result is not None
        curves = None
        if trial.result.curves is not None:
            table = self._storage.read_table(trial.result.curves)
            curves = table.filter(pa.compute.field("trial_id") == trial.trial_id)
        run_id = self._projection.project_trial(trial, curves)
        self._writer.record_mlflow_run(trial.trial_id, run_id)

    def _until_done(self, project: Any) -> None:
        """Try until MLflow takes it, or the driver has waited long enough."""
        warned = False
        while not self._given_up.is_set():
            try:
                project()
            except LeaseLostError:
                self._given_up.set()
            except (MlflowException, OSError) as error:
                if not warned:
                    logger.warning("MLflow does not answer (%s); runs are filled in later.", error)
                    warned = True
                self._given_up.wait(RETRY_S)
            else:
                self._last_success = time.monotonic()
                return
