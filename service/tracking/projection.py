"""MLflow as a projection: an experiment for the sweep, a flat run for each trial, a summary.

Nothing here is the truth: every run can be thrown away and made again from the ledger. Runs are
found by tag or made, by one writer, so nothing is doubled.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa
from mlflow import MlflowClient
from mlflow.entities import Param, Run, RunTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from service.objective import Objective
from service.tracking import summary, trial_run
from service.tracking.database import make_database
from service.tracking.runs import (
    SUMMARY_TAG,
    TRIAL_TAG,
    all_runs,
    by_trial,
    doubled,
    experiment_name,
)
from service.tracking.words import version_tags, word
from service.trials import Trial
from service.verdict import Json

SQLITE = "sqlite:///"

# Opens the experiment on runs and charts; without it MLflow shows pages for language models.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}

# MLflow's own limit for one call.
METRICS_A_CALL = 1000


class Projection:
    """One sweep's experiment in MLflow. For one thread at a time.

    Nothing is opened before it is needed, so that an MLflow that is away fails the first call.

    Args:
        tracking_uri: Where MLflow is.
        artifacts: Folder for artifacts, or None where a server decides.
        sweep: The sweep's name.
        objective: Decides which search trials are tagged feasible.
        versions: Versions of what changes numbers, kept as tags.
    """

    def __init__(
        self,
        tracking_uri: str,
        artifacts: Path | None,
        sweep: str,
        objective: Objective,
        versions: Mapping[str, str],
    ) -> None:
        self._tracking_uri = tracking_uri
        self._found_client: MlflowClient | None = None
        self._artifacts = artifacts
        self._sweep = sweep
        self._objective = objective
        self._versions = versions
        self._found_experiment: str | None = None

    @property
    def _client(self) -> MlflowClient:
        if self._found_client is None:
            if self._tracking_uri.startswith(SQLITE) and self._artifacts is not None:
                path = Path(self._tracking_uri.removeprefix(SQLITE))
                make_database(path, self._artifacts)
            self._found_client = MlflowClient(tracking_uri=self._tracking_uri)
        return self._found_client

    def forget(self) -> None:
        """Look everything up again at the next call: a user may have deleted the experiment.

        Or the database file, which MLflow's connections of before would still hold on to.
        """
        if self._found_client is not None:
            store = self._found_client._tracking_client.store
            if isinstance(store, SqlAlchemyStore):
                store.engine.dispose()
        self._found_client = None
        self._found_experiment = None

    def trial_ids(self) -> set[str]:
        """The trials that have a whole run: it is ended once all of it is there."""
        return {
            run.data.tags[TRIAL_TAG]
            for run in all_runs(self._client, self.experiment_id)
            if TRIAL_TAG in run.data.tags and run.info.status != "RUNNING"
        }

    def remove_doubles(self, kept: Collection[str | None]) -> None:
        """Delete all runs of a trial, or of the summary, but one.

        A call that a server took but did not live to answer is made again by the client, below us.

        Args:
            kept: Ids of runs that the ledger names.
        """
        runs = by_trial(all_runs(self._client, self.experiment_id))
        for run_id in doubled(runs, kept):
            self._client.delete_run(run_id)

    @property
    def experiment_id(self) -> str:
        """The sweep's experiment: found, restored if a user deleted it, or made."""
        if self._found_experiment is None:
            name = experiment_name(self._sweep)
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
        run = self._run(TRIAL_TAG, trial.trial_id, trial_run.run_name(trial))
        run_id = str(run.info.run_id)
        # The run's own time, so that logging a point twice leaves one point.
        at = run.info.start_time
        metrics = [
            *trial_run.final_metrics(trial, at),
            *(trial_run.curve_metrics(curves, at) if curves is not None else []),
        ]
        for start in range(0, len(metrics), METRICS_A_CALL):
            self._client.log_batch(run_id, metrics=metrics[start : start + METRICS_A_CALL])
        tags = trial_run.tags(trial, self._sweep, self._objective, self._versions)
        self._client.log_batch(
            run_id,
            params=[Param(name, str(value)) for name, value in trial_run.params(trial).items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )
        self._client.set_terminated(
            run_id,
            "FAILED" if result.state == "failed" else "FINISHED",
            end_time=at + round(result.train_s * 1000),
        )
        return run_id

    def project_summary(self, spec_text: str, verdict: Json | None, status: str) -> None:
        """The summary run: the sweep file, and the verdict once there is one.

        Args:
            spec_text: The sweep file.
            verdict: The verdict, or None.
            status: MLflow's word: ``RUNNING``, ``FINISHED``, or ``KILLED`` for an interruption.
        """
        run = self._run(SUMMARY_TAG, self._sweep, "summary")
        run_id = str(run.info.run_id)
        self._client.log_text(run_id, spec_text, "sweep.yaml")
        tags = {"sweep": self._sweep, **version_tags(self._versions)}
        if verdict is not None:
            tags |= {
                "confirmed": word(verdict["confirmed"]),
                "mlflow.note.content": "\n\n".join(
                    [verdict["sentence"], *summary.front_note(verdict)]
                ),
            }
            self._client.log_text(run_id, json.dumps(verdict, indent=2), "verdict.json")
            self._client.log_batch(run_id, summary.verdict_metrics(verdict, run.info.start_time))
        self._client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
        self._client.set_terminated(run_id, status)

    def _run(self, tag: str, value: str, name: str) -> Run:
        found = self._client.search_runs(
            [self.experiment_id], f"tags.`{tag}` = '{value}'", max_results=1
        )
        if found:
            return found[0]
        return self._client.create_run(self.experiment_id, tags={tag: value}, run_name=name)
