"""The servers that a sweep keeps everything on, to be taken away from it."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

from loopback import HERE, Place
from mlflow_server import MlflowServer
from object_store import ObjectStore
from postgres import Postgres
from shell import Started


@dataclass(frozen=True)
class Servers:
    """Where a sweep keeps everything, and what its environment must say of that."""

    postgres: Postgres
    object_store: ObjectStore
    mlflow: MlflowServer
    variables: Mapping[str, str]


@contextmanager
def serving(
    postgres: Postgres, object_store: ObjectStore, place: Place = HERE
) -> Iterator[Servers]:
    """A database and a bucket of its own, and an MLflow that does not stand on PostgreSQL.

    Args:
        postgres: Has the database.
        object_store: Has the bucket.
        place: Where MLflow listens.
    """
    with closing(MlflowServer(place=place)) as mlflow:
        mlflow.start()
        variables = {
            "MONOSWEEP_LEDGER_URL": postgres.new_database(),
            "MONOSWEEP_STORAGE": object_store.new_bucket(),
            "MLFLOW_TRACKING_URI": mlflow.uri,
            **object_store.environment,
        }
        yield Servers(postgres, object_store, mlflow, variables)


def restart(postgres: Postgres, driver: Started) -> None:
    """Stop the ledger's server until the driver has met that, and start it again."""
    before = driver.count("The ledger answers again")
    postgres.stop()
    driver.until("the ledger does not answer", before + 1)
    postgres.start()
    driver.until("The ledger answers again", before + 1)
