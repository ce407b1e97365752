"""Whole sweeps with everything on servers: PostgreSQL, an object store, MLflow."""

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow_server import MlflowServer
from object_store import ObjectStore
from postgres import Postgres
from shell import Shell, numbers, write_spec

from service.storage import Storage


@pytest.fixture
def servers(postgres: Postgres, object_store: ObjectStore) -> Iterator[dict[str, str]]:
    """What the environment says of them; the ledger and MLflow have databases of their own."""
    with closing(MlflowServer(postgres.new_database())) as mlflow:
        mlflow.start()
        yield {
            "MONOSWEEP_LEDGER_URL": postgres.new_database(),
            "MONOSWEEP_STORAGE": object_store.new_bucket(),
            "MLFLOW_TRACKING_URI": mlflow.uri,
            **object_store.environment,
        }


def test_a_sweep_goes_on_from_another_machine_to_the_same_numbers(
    finished: Shell, tmp_path: Path, servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another home with the same URLs: nothing but the servers is needed."""
    one, other = (Shell(tmp_path / name / "home", servers) for name in ("one", "other"))
    for shell in (one, other):
        shell.home.parent.mkdir()
    stopped = one.start("run", str(write_spec(tmp_path)))
    stopped.until("search: 0 of")
    stopped.stop(signal.SIGTERM)
    other.run("resume", "tiny")
    rows = other.trials("tiny")
    assert numbers(rows) == numbers(finished.trials("tiny"))
    homes = [path for shell in (one, other) for path in shell.home.rglob("*") if path.is_file()]
    assert homes == []
    for name, value in servers.items():
        monkeypatch.setenv(name, value)
    assert Storage(servers["MONOSWEEP_STORAGE"]).names("cohorts/tiny") == []
    client = MlflowClient(servers["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name("monosweep/tiny")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    found = Counter(run.data.tags.get("monosweep.trial", "summary") for run in runs)
    assert found == Counter(["summary", *(row["trial_id"] for row in rows)])
    assert {run.info.status for run in runs} == {"FINISHED"}
