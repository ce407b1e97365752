"""Which of MLflow's runs are a sweep's, found by tag: one for each trial, and the summary."""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage
from mlflow.store.tracking.dbmodels.models import SqlRun, SqlTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import select

TRIAL_TAG = "monosweep.trial"
SUMMARY_TAG = "monosweep.summary"
# Which of a sweep's trials stand out; for people to filter by.
STANDING_TAG = "standing"

_SUMMARY = "summary"
# MLflow's word for a run that nobody ended.
_AT_WORK = "RUNNING"

# MLflow's own limit for one call.
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


@dataclass(frozen=True)
class Listed:
    """A run of ours, as a list of them has it.

    Attributes:
        what: Its trial's id, or ``summary``.
        run_id: MLflow's id of it.
        started_at: When it was made, in milliseconds.
        is_ended: Whether somebody ended it: then all of it is there.
    """

    what: str
    run_id: str
    started_at: int
    is_ended: bool


def our_runs(client: MlflowClient, experiment_id: str) -> list[Listed]:
    """Our runs of an experiment, but those in the trash, oldest first; a user's own are none.

    MLflow's search has all numbers of every run with it, of 10,000 runs half a minute long. A
    database that is ours to open is asked for what is wanted.
    """
    store = client._tracking_client.store
    found = (
        _in_database(store, experiment_id)
        if isinstance(store, SqlAlchemyStore)
        else _from_server(client, experiment_id)
    )
    return sorted(found, key=lambda run: run.started_at)


def _in_database(store: SqlAlchemyStore, experiment_id: str) -> Iterator[Listed]:
    query = (
        select(SqlTag.key, SqlTag.value, SqlRun.run_uuid, SqlRun.start_time, SqlRun.status)
        .join(SqlRun, SqlRun.run_uuid == SqlTag.run_uuid)
        .where(
            SqlTag.key.in_((TRIAL_TAG, SUMMARY_TAG)),
            SqlRun.experiment_id == int(experiment_id),
            SqlRun.lifecycle_stage == LifecycleStage.ACTIVE,
        )
    )
    with store.engine.connect() as connection:
        for key, value, run_id, started_at, status in connection.execute(query):
            yield Listed(
                value if key == TRIAL_TAG else _SUMMARY, run_id, started_at, status != _AT_WORK
            )


def _from_server(client: MlflowClient, experiment_id: str) -> Iterator[Listed]:
    token = None
    while token != "":
        page = client.search_runs([experiment_id], max_results=RUNS_A_PAGE, page_token=token)
        for run in page:
            tags, info = run.data.tags, run.info
            if TRIAL_TAG in tags or SUMMARY_TAG in tags:
                what = tags.get(TRIAL_TAG, _SUMMARY)
                yield Listed(what, info.run_id, info.start_time, info.status != _AT_WORK)
        token = page.token or ""


def by_trial(runs: Sequence[Listed]) -> dict[str, list[str]]:
    """Run ids by trial id, in their order, the summary's by ``summary``."""
    found: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        found[run.what].append(run.run_id)
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
