"""Taking a sweep out of MLflow: its experiment, its runs, their artifacts, and its model.

In a database that is ours to open all of it goes for good. A server deletes nothing for good: there
the experiment gives up its name and goes to the trash, which ``mlflow gc`` on the server empties.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment, ViewType
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from service.errors import TrackingError
from service.home import without_password
from service.tracking import registry
from service.tracking.database import MLFLOW_ERRORS, said_by
from service.tracking.projection import SQLITE
from service.tracking.runs import RUNS_A_PAGE, experiment_name

# Follows the name of an experiment in the trash of a server; no sweep's name has a bracket.
_PUT_AWAY = " (deleted "


def check_answers(tracking_uri: str) -> None:
    """Make sure that MLflow answers; a file of ours that is not there holds nothing.

    Raises:
        TrackingError: If it does not.
    """
    if is_there(tracking_uri):
        with answering(tracking_uri):
            MlflowClient(tracking_uri).search_experiments(max_results=1)


def remove(tracking_uri: str, sweep: str) -> None:
    """Remove all that MLflow has of a sweep; what is gone already is as good.

    Raises:
        TrackingError: If MLflow does not answer, or refuses.
    """
    if not is_there(tracking_uri):
        return
    with answering(tracking_uri):
        client = MlflowClient(tracking_uri)
        registry.remove(client, sweep)
        for experiment in _experiments(client, sweep):
            repository = get_artifact_repository(
                experiment.artifact_location, tracking_uri=tracking_uri
            )
            repository.delete_artifacts()
            # The same store that the client asks.
            store = client._tracking_client.store
            if isinstance(store, SqlAlchemyStore):
                _erase(client, store, experiment)
            else:
                _put_away(client, experiment)


def is_there(tracking_uri: str) -> bool:
    """Whether there is anything to ask: a file of ours that is not there would be made."""
    path = tracking_uri.removeprefix(SQLITE)
    return path == tracking_uri or Path(path).exists()


@contextmanager
def answering(tracking_uri: str) -> Iterator[None]:
    """Name an MLflow that does not answer.

    Raises:
        TrackingError: Instead of whatever MLflow raises.
    """
    try:
        yield
    except MLFLOW_ERRORS as error:
        raise TrackingError(
            f"MLflow must answer, found: {without_password(said_by(error))} "
            f"({without_password(tracking_uri)}). Start it, mend MLFLOW_TRACKING_URI, or see "
            "what is amiss: monosweep doctor"
        ) from error


def _experiments(client: MlflowClient, sweep: str) -> list[Experiment]:
    """The sweep's experiment, also one in the trash; and one that was on its way there."""
    name = experiment_name(sweep)
    found = client.get_experiment_by_name(name)
    renamed = [
        experiment
        for experiment in client.search_experiments(filter_string=f"name LIKE '{name}{_PUT_AWAY}%'")
        # An underscore stands for any letter in the filter.
        if experiment.name.startswith(f"{name}{_PUT_AWAY}")
    ]
    return [*([found] if found is not None else []), *renamed]


def _erase(client: MlflowClient, store: SqlAlchemyStore, experiment: Experiment) -> None:
    """For good, as ``mlflow gc`` does it: what is in the trash, runs first."""
    experiment_id = experiment.experiment_id
    if experiment.lifecycle_stage != "deleted":
        client.delete_experiment(experiment_id)
    while runs := client.search_runs([experiment_id], "", ViewType.ALL, RUNS_A_PAGE):
        for run in runs:
            store._hard_delete_run(run.info.run_id)
    store._hard_delete_experiment(experiment_id)


def _put_away(client: MlflowClient, experiment: Experiment) -> None:
    """Into the trash under another name; only what is not there yet can be renamed."""
    experiment_id = experiment.experiment_id
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment_id)
    if _PUT_AWAY not in experiment.name:
        client.rename_experiment(experiment_id, f"{experiment.name}{_PUT_AWAY}{experiment_id})")
    client.delete_experiment(experiment_id)
