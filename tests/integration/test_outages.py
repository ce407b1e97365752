"""Servers that go away in mid-sweep: nothing is lost, nothing doubled, and people are told once."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow_shows import check_mlflow
from object_store import ObjectStore
from postgres import Postgres
from servers_of_a_sweep import Servers, restart, serving
from shell import LONGER, Shell, numbers, write_spec

MLFLOW_AWAY_S = 15.0
STORE_AWAY_S = 3.0
# Met by the cohort at work, whatever it first wanted of it.
STORE_AWAY = r"search-\d: (?:a checkpoint could not be written|the storage does not answer)"
STORE_BACK = r"search-\d: The storage answers again"


@pytest.fixture
def servers(postgres: Postgres, object_store: ObjectStore) -> Iterator[Servers]:
    with serving(postgres, object_store) as found:
        yield found


@pytest.mark.long
def test_servers_may_go_away_in_mid_sweep(longer: Shell, tmp_path: Path, servers: Servers) -> None:
    shell = Shell(tmp_path / "home", servers.variables)
    driver = shell.start("run", str(write_spec(tmp_path, **LONGER)))
    driver.until("search: 0 of")
    servers.mlflow.stop()
    killed_at = time.monotonic()
    restart(servers.postgres, driver)
    servers.object_store.stop()
    driver.until(STORE_AWAY)
    time.sleep(STORE_AWAY_S)
    servers.object_store.start()
    restart(servers.postgres, driver)
    time.sleep(max(killed_at + MLFLOW_AWAY_S - time.monotonic(), 0.0))
    servers.mlflow.start()
    driver.ends()
    rows = shell.trials("tiny")
    assert numbers(rows) == numbers(longer.trials("tiny"))
    assert {row["state"] for row in rows} == {"complete"}
    assert len([row for row in rows if row["phase"] == "search"]) == 6
    check_mlflow(shell, "tiny", servers.mlflow.uri)
    for away, back, times in (
        ("MLflow does not take a run", "MLflow answers again", 1),
        ("the ledger does not answer", "The ledger answers again", 2),
        (STORE_AWAY, STORE_BACK, 1),
    ):
        assert (driver.count(away), driver.count(back)) == (times, times), driver.said()
