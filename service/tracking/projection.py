"""MLflow as a projection: an experiment for the sweep, a flat run for each trial, a summary.

Nothing here is the truth: every run can be thrown away and made again from the ledger. Runs are
found by tag or made, by one writer, so nothing is doubled.
"""

import json
import logging
import os
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

# Read by MLflow when it is imported: report its use to nobody, give up on a dead server quickly.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")

import pyarrow as pa
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from service.objective import Objective
from service.tracking.database import make_database
from service.trials import Trial
from service.verdict import Json

SQLITE = "sqlite:///"
TRIAL_TAG = "monosweep.trial"
SUMMARY_TAG = "monosweep.summary"

# Opens the experiment on runs and charts; without it MLflow shows pages for language models.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}

# MLflow's own limit for one call.
METRICS_A_CALL = 1000
RUNS_A_PAGE = 1000

# It announces every table that it makes in a new database.
logging.getLogger("mlflow").setLevel(logging.WARNING)
# And every try of a call to a server that is away, and a traceback for every one to a database:
# that is told once, by whoever called.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def experiment_name(sweep: str) -> str:
    """What MLflow calls a sweep."""
    return f"monosweep/{sweep}"


def all_runs(client: MlflowClient, experiment_id: str) -> list[Run]:
    """Every run of an experiment but those in the trash."""
    found, token = [], None
    while token != "":
        page = client.search_runs([experiment_id], max_results=RUNS_A_PAGE, page_token=token)
        found += list(page)
        token = page.token or ""
    return found


def by_trial(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Run ids by trial id, oldest first, the summary's by ``summary``; a user's own are none."""
    found: dict[str, list[str]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.info.start_time):
        tags = run.data.tags
        if TRIAL_TAG in tags or SUMMARY_TAG in tags:
            found[tags.get(TRIAL_TAG, "summary")].append(run.info.run_id)
    return found


def doubled(runs: Mapping[str, Sequence[str]], named: Collection[str | None]) -> list[str]:
    """All but one run of each trial: the one that the ledger names, or the oldest.

    Args:
        runs: See ``by_trial``.
        named: Ids of runs that the ledger names.
    """
    return [
        run_id
        for run_ids in runs.values()
        for run_id in sorted(run_ids, key=lambda run_id: run_id not in named)[1:]
    ]


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
        tags = {"sweep": self._sweep, **_version_tags(self._versions)}
        if verdict is not None:
            tags |= {
                "confirmed": _word(verdict["confirmed"]),
                "mlflow.note.content": "\n\n".join([verdict["sentence"], *_front_note(verdict)]),
            }
            self._client.log_text(run_id, json.dumps(verdict, indent=2), "verdict.json")
            self._client.log_batch(run_id, _verdict_metrics(verdict, run.info.start_time))
        self._client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
        self._client.set_terminated(run_id, status)

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
            tags["feasible"] = _word(self._objective.is_feasible(result, trial.settings))
        if trial.role is not None:
            tags["role"] = trial.role
        if trial.same_as is not None:
            tags["same_as"] = trial.same_as
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
    margin = verdict["loss_margin"]
    values: dict[str, float] = {} if margin is None else {"loss_margin": margin}
    for name in ("loss_ratio", "gain"):
        values |= {f"{name}.{end}": at for end, at in (verdict[name] or {}).items()}
    for who in ("baseline", "winner"):
        for name, value in (verdict[who] or {}).items():
            if isinstance(value, Mapping) and "mean" in value:
                values[f"{who}.{name}"] = value["mean"]
    return [Metric(name, value, at, 0) for name, value in values.items()]


def _front_note(verdict: Json) -> list[str]:
    """The confirmed front as a table in Markdown, where there are several objectives."""
    # Verdicts of the first versions name one objective only.
    names = [goal["name"] for goal in verdict.get("objectives", ())]
    if len(names) < 2:
        return []
    rows = [
        ["", *(name.replace("_", " ") for name in names), "passes"],
        ["---"] * (len(names) + 2),
        *(
            [row["trial"], *(_mean(row, name) for name in names), _word(row["passes"])]
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
