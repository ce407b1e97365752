"""Which of MLflow's runs are a sweep's, found by tag: one for each trial, and the summary."""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from mlflow import MlflowClient
from mlflow.entities import Run

TRIAL_TAG = "monosweep.trial"
SUMMARY_TAG = "monosweep.summary"
# Which of a sweep's trials stand out; for people to filter by.
STANDING_TAG = "standing"

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
