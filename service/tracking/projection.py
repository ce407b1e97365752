"""MLflow as a projection: an experiment for the sweep, a flat run for each trial, a summary.

Nothing here is the truth: every run can be thrown away and made again from the ledger. Runs are
found by tag or made, by one writer, so nothing is doubled.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pyarrow as pa
from mlflow import MlflowClient
from mlflow.entities import Param, Run, RunTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from service.objective import Objective
from service.tracking import network_file, registry, summary, trial_run
from service.tracking.database import analyze, make_database, spare_the_disk
from service.tracking.descriptions import NOTE, of_experiment, of_summary
from service.tracking.facts import Facts
from service.tracking.names import run_name
from service.tracking.runs import (
    STANDING_TAG,
    SUMMARY_TAG,
    TRIAL_TAG,
    by_trial,
    doubled,
    experiment_name,
    our_runs,
)
from service.tracking.views import views
from service.trials import Trial
from service.verdict import Json

if TYPE_CHECKING:
    from trainers.networks import Network

SQLITE = "sqlite:///"
# Of the verdict that the summary's files and the registered model belong to.
SHOWN_TAG = "monosweep.shown"

# Opens the experiment on runs and charts; without it MLflow shows pages for language models.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}

# MLflow's own limits for one call; the first is also that of metrics, params and tags together.
METRICS_A_CALL = 1000
MAX_TAGS = 100


class Projection:
    """One sweep's experiment in MLflow. For one thread at a time.

    Nothing is opened before it is needed, so that an MLflow that is away fails the first call.

    Args:
        tracking_uri: Where MLflow is.
        artifacts: Folder for artifacts, or None where a server decides.
        facts: Of the sweep.
    """

    def __init__(
        self,
        tracking_uri: str,
        artifacts: Path | None,
        facts: Facts,
    ) -> None:
        self._tracking_uri = tracking_uri
        self._found_client: MlflowClient | None = None
        self._artifacts = artifacts
        self._facts = facts
        self._sweep = facts.spec.name
        self._found_experiment: str | None = None
        self._standings: dict[str, str] | None = None
        # Trials that may have a run; None while nobody looked. Nobody else makes any.
        self._may_have_run: set[str] | None = None

    @property
    def _client(self) -> MlflowClient:
        if self._found_client is None:
            if self._tracking_uri.startswith(SQLITE) and self._artifacts is not None:
                path = Path(self._tracking_uri.removeprefix(SQLITE))
                make_database(path, self._artifacts)
            self._found_client = MlflowClient(tracking_uri=self._tracking_uri)
            store = self._found_client._tracking_client.store
            if isinstance(store, SqlAlchemyStore):
                spare_the_disk(store.engine)
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
        self._standings = None
        self._may_have_run = None

    @property
    def objective(self) -> Objective:
        """What the sweep is after."""
        return self._facts.objective

    def trial_ids(self) -> set[str]:
        """The trials that have a whole run, and ``summary``: ended once all of it is there."""
        found = our_runs(self._client, self.experiment_id)
        self._may_have_run = {run.what for run in found}
        return {run.what for run in found if run.is_ended}

    def remove_doubles(self, kept: Collection[str | None]) -> None:
        """Delete all runs of a trial, or of the summary, but one.

        A call that a server took but did not live to answer is made again by the client, below us.

        Args:
            kept: Ids of runs that the ledger names.
        """
        runs = by_trial(our_runs(self._client, self.experiment_id))
        for run_id in doubled(runs, kept):
            self._client.delete_run(run_id)

    @property
    def experiment_id(self) -> str:
        """The sweep's experiment: found, restored if a user deleted it, or made.

        With its description and views, unless a user has others by now.
        """
        if self._found_experiment is None:
            name = experiment_name(self._sweep)
            experiment = self._client.get_experiment_by_name(name)
            if experiment is None:
                location = (self._artifacts / self._sweep).as_uri() if self._artifacts else None
                made = self._client.create_experiment(name, location, tags=_EXPERIMENT_TAGS)
                experiment = self._client.get_experiment(made)
                self._may_have_run = set()
            elif experiment.lifecycle_stage == "deleted":
                self._client.restore_experiment(experiment.experiment_id)
            found = str(experiment.experiment_id)
            for tag, value in self._shown(found, experiment.creation_time).items():
                if tag not in experiment.tags:
                    self._client.set_experiment_tag(found, tag, value)
            self._found_experiment = found
        return self._found_experiment

    def _shown(self, experiment_id: str, at: int) -> dict[str, str]:
        """Tags of the experiment that people see: its views and its description."""
        brought = views(self._facts)
        # The description last: where it is, all of it is.
        return {
            **dict(view.tag(at) for view in brought),
            NOTE: of_experiment(self._facts, brought, experiment_id),
        }

    def project_trial(self, trial: Trial, curves: pa.Table | None) -> str:
        """Bring a trial's run up to date; its id.

        Args:
            trial: An ended trial.
            curves: Its rows of the cohort's curves, or None if it has none.
        """
        assert trial.result is not None
        result = trial.result
        tags = trial_run.tags(trial, self._facts, self.experiment_id)
        run, has_tags = self._run_of(trial, tags)
        run_id = str(run.info.run_id)
        # A run that was made anew, since somebody deleted it, has to be told again.
        (self._standings or {}).pop(trial.trial_id, None)
        at = run.info.start_time
        params = [
            Param(name, str(value)) for name, value in trial_run.params(trial, self._facts).items()
        ]
        metrics = trial_run.metrics(trial, curves, self._facts, at)
        # Most curves, and all else, fit into one call: every one is several commits of MLflow's.
        num_first = METRICS_A_CALL - len(params) - MAX_TAGS
        self._client.log_batch(
            run_id,
            metrics=metrics[:num_first],
            params=params,
            tags=[] if has_tags else _run_tags(tags),
        )
        for start in range(num_first, len(metrics), METRICS_A_CALL):
            self._client.log_batch(run_id, metrics=metrics[start : start + METRICS_A_CALL])
        self._client.set_terminated(
            run_id,
            "FAILED" if result.state == "failed" else "FINISHED",
            end_time=at + round(result.train_s * 1000),
        )
        return run_id

    def stand(self, wanted: Mapping[str, str], trials: Mapping[str, Trial]) -> None:
        """Say by name and tag which runs stand out; those that did and do no more lose it.

        Args:
            wanted: See ``names.standings``.
            trials: Ended search trials by id. One that has no run yet is left for the next time.
        """
        if self._standings is None:
            marked = self._client.search_runs([self.experiment_id], f"tags.{STANDING_TAG} LIKE '%'")
            self._standings = {
                run.data.tags[TRIAL_TAG]: run.data.tags[STANDING_TAG] for run in marked
            }
        for trial_id in sorted(wanted.keys() | self._standings.keys()):
            standing = wanted.get(trial_id)
            if standing == self._standings.get(trial_id) or trial_id not in trials:
                continue
            run = self._find(TRIAL_TAG, trial_id)
            if run is None:
                continue
            name = run_name(trials[trial_id], self._facts, standing)
            self._client.update_run(run.info.run_id, name=name)
            if standing is None:
                self._client.delete_tag(run.info.run_id, STANDING_TAG)
                del self._standings[trial_id]
            else:
                self._client.set_tag(run.info.run_id, STANDING_TAG, standing)
                self._standings[trial_id] = standing

    def project_search(self, baseline: Sequence[Trial], best: Trial | None, num_ended: int) -> None:
        """The ceiling and the best trial so far, in the summary.

        Args:
            baseline: Baseline trials that have ended.
            best: The best feasible search trial, if there is one.
            num_ended: Search trials that have ended.
        """
        run = self._summary()
        metrics = summary.search_metrics(
            self._facts, baseline, best, run.info.start_time, num_ended
        )
        tags = {} if best is None else {"best": best.trial_id}
        self._client.log_batch(run.info.run_id, metrics=metrics, tags=_run_tags(tags))

    def project_summary(
        self,
        spec_text: str,
        verdict: Json | None,
        status: str,
        *,
        num_ended: int = 0,
    ) -> None:
        """The summary run: the sweep file, and the verdict once there is one.

        Args:
            spec_text: The sweep file.
            verdict: The verdict, or None.
            status: MLflow's word: ``RUNNING``, ``FINISHED``, or ``KILLED`` for an interruption.
            num_ended: Search trials that have ended.
        """
        run = self._summary()
        run_id = str(run.info.run_id)
        self._client.log_text(run_id, spec_text, "sweep.yaml")
        tags = {
            **trial_run.common_tags(self._facts),
            "command": "monosweep run sweep.yaml",
            NOTE: of_summary(self._facts, verdict, self.experiment_id),
        }
        if verdict is not None:
            tags |= summary.verdict_tags(verdict)
            self._client.log_text(run_id, json.dumps(verdict, indent=2), "verdict.json")
            metrics = summary.verdict_metrics(verdict, run.info.start_time, num_ended)
            self._client.log_batch(run_id, metrics)
        self._client.log_batch(run_id, tags=_run_tags(tags))
        self._client.set_terminated(run_id, status)

    def analyze(self) -> None:
        """Keep the pages quick where MLflow's database is a file of ours; see ``database``."""
        if self._artifacts is not None:
            analyze(self._tracking_uri)

    def shows(self, verdict: Json) -> bool:
        """Whether all that belongs to a verdict is there; see ``has_shown``."""
        return bool(self._summary().data.tags.get(SHOWN_TAG) == _digest(verdict))

    def register(self, trial_id: str, winner: "Network") -> bool:
        """Register the winner as a model; see ``registry``.

        Args:
            trial_id: The search trial that won.
            winner: A network with its settings.

        Returns:
            Whether it is registered.
        """
        found = registry.register(self._client, self._summary(), self._sweep, winner, trial_id)
        return found is not None

    def has_shown(self, verdict: Json) -> None:
        """Say that all that belongs to a verdict is there, so that it is not made again."""
        self._client.set_tag(self._summary().info.run_id, SHOWN_TAG, _digest(verdict))

    def attach(self, folder: Path) -> None:
        """Files as artifacts of the summary, under the paths that they have below a folder.

        MLflow shows HTML, images, Markdown, JSON and text beside the list of files; the same path
        again replaces what is there.

        Args:
            folder: Of figures, tables and pages.
        """
        self._client.log_artifacts(self._summary().info.run_id, str(folder))

    def attach_network(self, trial: Trial, network: "Network") -> bool:
        """A trained network as an artifact of its trial's run; see ``network_file``.

        Args:
            trial: A trial; a run that somebody deleted is left to the next ``resume``, which
                makes it anew.
            network: What its training, on its first seed, ended with.

        Returns:
            Whether it has a run.
        """
        run = self._find(TRIAL_TAG, trial.trial_id)
        if run is None:
            return False
        with TemporaryDirectory() as folder:
            path = Path(folder) / network_file.NAME
            path.write_bytes(network_file.as_bytes(network))
            self._client.log_artifact(run.info.run_id, str(path))
        return True

    def _summary(self) -> Run:
        return self._run(SUMMARY_TAG, self._sweep, "summary")

    def _run(self, tag: str, value: str, name: str) -> Run:
        found = self._find(tag, value)
        if found is not None:
            return found
        return self._client.create_run(self.experiment_id, tags={tag: value}, run_name=name)

    def _run_of(self, trial: Trial, tags: Mapping[str, str]) -> tuple[Run, bool]:
        """The trial's run, looked for only if there can be one; whether it has its tags already."""
        name = run_name(trial, self._facts)
        experiment_id = self.experiment_id
        if self._may_have_run is None or trial.trial_id in self._may_have_run:
            return self._run(TRIAL_TAG, trial.trial_id, name), False
        # Also if it is made and not heard of.
        self._may_have_run.add(trial.trial_id)
        made = self._client.create_run(
            experiment_id, tags={TRIAL_TAG: trial.trial_id, **tags}, run_name=name
        )
        return made, True

    def _find(self, tag: str, value: str) -> Run | None:
        found = self._client.search_runs(
            [self.experiment_id], f"tags.`{tag}` = '{value}'", max_results=1
        )
        return found[0] if found else None


def _digest(verdict: Json) -> str:
    return sha256(json.dumps(verdict, sort_keys=True).encode()).hexdigest()[:16]


def _run_tags(tags: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(name, value) for name, value in tags.items()]
