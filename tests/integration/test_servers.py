"""Whole sweeps with everything on servers: PostgreSQL, an object store, MLflow."""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow_server import MlflowServer
from object_store import ObjectStore
from postgres import Postgres

from service.storage import Storage

sys.path.insert(0, str(Path(__file__).parent))

from test_sweep import Shell, numbers, write_spec


@dataclass(frozen=True)
class ShellOfServers(Shell):
    """A user whose environment names servers; the home is the machine's own."""

    servers: Mapping[str, str]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), **self.servers}


@pytest.fixture(scope="module")
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


def start_and_stop_in_the_search(shell: Shell, spec: Path) -> None:
    stopped = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "run", str(spec)],
        env=shell.environment(),
        cwd=spec.parent,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert stopped.stderr is not None
    for line in stopped.stderr:
        if line.startswith("search: 0 of"):
            break
    time.sleep(1)
    stopped.send_signal(signal.SIGTERM)
    said = stopped.stderr.read()
    assert stopped.wait(60) == 75, said
    assert "monosweep resume tiny" in " ".join(said.split())


def test_a_sweep_goes_on_from_another_machine_to_the_same_numbers(
    tmp_path: Path, servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another home with the same URLs: nothing but the servers is needed."""
    spec = write_spec(tmp_path)
    at_home = Shell(tmp_path / "untouched" / "home")
    at_home.home.parent.mkdir()
    at_home.run("run", str(spec))
    one, other = (ShellOfServers(tmp_path / name / "home", servers) for name in ("one", "other"))
    for shell in (one, other):
        shell.home.parent.mkdir()
    start_and_stop_in_the_search(one, spec)
    assert other.json("status", "tiny")["state"] == "interrupted"
    other.run("resume", "tiny")
    rows = other.trials("tiny")
    assert numbers(rows) == numbers(at_home.trials("tiny"))
    assert other.json("best", "tiny") == at_home.json("best", "tiny")
    assert [
        path for shell in (one, other) for path in shell.home.rglob("*") if path.is_file()
    ] == []
    for name, value in servers.items():
        monkeypatch.setenv(name, value)
    storage = Storage(servers["MONOSWEEP_STORAGE"])
    assert storage.names("cohorts/tiny") == []
    client = MlflowClient(servers["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name("monosweep/tiny")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    found = Counter(run.data.tags.get("monosweep.trial", "summary") for run in runs)
    assert found == Counter(["summary", *(row["trial_id"] for row in rows)])
    assert {run.info.status for run in runs} == {"FINISHED"}
