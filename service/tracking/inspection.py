"""What MLflow shows of a sweep, to be compared with the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlflow import MlflowClient

from service.tracking.removal import answering, is_there
from service.tracking.runs import by_trial, experiment_name, our_runs
from service.tracking.views import FIRST_VIEW, link, tag_of


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The experiment of a sweep.

    Attributes:
        is_there: Whether there is one, and not in the trash.
        runs: The runs of each trial, oldest first; those of the summary as ``summary``.
        unended: Runs that nobody ended.
    """

    is_there: bool
    runs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unended: frozenset[str] = frozenset()


def look(tracking_uri: str, sweep: str) -> Shown:
    """What MLflow shows of a sweep; looking makes and restores nothing.

    Raises:
        TrackingError: If MLflow does not answer.
    """
    if not is_there(tracking_uri):
        return Shown(is_there=False)
    with answering(tracking_uri):
        client = MlflowClient(tracking_uri)
        experiment = client.get_experiment_by_name(experiment_name(sweep))
        if experiment is None or experiment.lifecycle_stage == "deleted":
            return Shown(is_there=False)
        found = our_runs(client, experiment.experiment_id)
    unended = frozenset(run.run_id for run in found if not run.is_ended)
    return Shown(is_there=True, runs=by_trial(found), unended=unended)


def entrances(tracking_uri: str) -> dict[str, str]:
    """Where MLflow's pages show each sweep, newest first: the part of a URL that begins with ``#``.

    Raises:
        TrackingError: If MLflow does not answer.
    """
    with answering(tracking_uri):
        found = MlflowClient(tracking_uri).search_experiments(
            filter_string=f"name LIKE '{experiment_name('%')}'", order_by=["creation_time DESC"]
        )
    prefix = experiment_name("")
    return {
        experiment.name.removeprefix(prefix): link(FIRST_VIEW, experiment.experiment_id)
        for experiment in found
        if tag_of(FIRST_VIEW) in experiment.tags
    }


def put_runs_away(tracking_uri: str, run_ids: Sequence[str]) -> None:
    """Runs into MLflow's trash, from which a user can restore them.

    Raises:
        TrackingError: If MLflow does not answer.
    """
    with answering(tracking_uri):
        client = MlflowClient(tracking_uri)
        for run_id in run_ids:
            client.delete_run(run_id)
