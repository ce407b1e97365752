"""Deletions on real files, a real MLflow database and a real MLflow server, stopped anywhere."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from optuna.storages import RDBStorage
from sqlalchemy import select

from service.deletion import delete, extent
from service.errors import (
    LeaseHeldError,
    StorageError,
    SweepDeletingError,
    SweepExistsError,
    SweepNotFoundError,
    TrackingError,
)
from service.home import Home
from service.ledger import Ledger, release, tables, take
from service.ledger.writing import Writer
from service.spec import Spec
from service.status import status
from service.storage import Storage
from service.sweep import resume, run
from service.tracking import Facts, Projection

MakeSpec = Callable[..., Spec]

# Port 9 is "discard", which nobody serves: refused at once.
DEAD = "http://127.0.0.1:9"


def left(ledger: Ledger, home: Home) -> list[str]:
    """Whatever there is of the sweep ``tiny``, anywhere."""
    found = [
        str(path.relative_to(home.path)) for path in home.path.rglob("*") if "tiny" in path.parts
    ]
    found += [study.study_name for study in ledger.storage.get_all_studies()]
    with ledger.engine.connect() as connection:
        for table in (tables.sweeps, tables.leases, tables.attempts, tables.results):
            found += [f"{table.name} {row}" for row in connection.execute(select(table))]
    with sqlite3.connect(home.path / "ledger.db") as database:
        for name in ("trials", "trial_params", "trial_user_attributes", "trial_values"):
            found += [f"{name} {row}" for row in database.execute(f"SELECT * FROM {name}")]
    with closing(sqlite3.connect(home.path / "mlflow.db")) as database:
        for name in ("experiments", "runs", "metrics", "params", "tags"):
            rows = database.execute(f"SELECT * FROM {name}").fetchall()
            found += [f"MLflow's {name} {row}" for row in rows if "Default" not in row]
    return found


def test_nothing_of_a_deleted_sweep_is_left(interrupted: Ledger, home: Home) -> None:
    assert len(left(interrupted, home)) > 30
    delete(interrupted, "tiny", home)
    assert left(interrupted, home) == []
    with pytest.raises(SweepNotFoundError):
        delete(interrupted, "tiny", home)


def test_its_page_goes_with_it_and_others_stay(interrupted: Ledger, home: Home) -> None:
    for name in ("tiny", "tiny2"):
        home.report(name).parent.mkdir(exist_ok=True)
        home.report(name).write_bytes(b"page")
    with_page = extent(interrupted, interrupted.sweep("tiny"), home).num_bytes
    delete(interrupted, "tiny", home)
    assert [path.name for path in (home.path / "reports").iterdir()] == ["tiny2.html"]
    assert with_page > len(b"page")


def test_its_neighbours_stay(
    interrupted: Ledger, home: Home, make_facts: Callable[..., Facts]
) -> None:
    """Also those whose names begin like its own."""
    for name in ("tiny2", "tin"):
        interrupted.create_sweep(name, spec_text="", settings={}, versions={}, num_trials=1)
        lease = take(interrupted.engine, name)
        with closing(Writer(interrupted, lease)) as writer:
            writer.create_studies(["maximize"])
            release(interrupted.engine, lease)
        Storage(home.storage).write_bytes(f"results/{name}/x", b"x")
        projection = Projection(home.tracking_uri, home.artifacts, make_facts(name))
        projection.project_summary("", None, "KILLED")
    delete(interrupted, "tiny", home)
    assert interrupted.names() == ["tiny2", "tin"]
    assert len(interrupted.storage.get_all_studies()) == 6
    assert set(Storage(home.storage).sizes("results")) == {"results/tiny2/x", "results/tin/x"}
    found = MlflowClient(home.tracking_uri).search_experiments(view_type=ViewType.ALL)
    assert {each.name for each in found} == {"Default", "monosweep/tiny2", "monosweep/tin"}


def test_what_goes_is_told_before(interrupted: Ledger, home: Home) -> None:
    found = extent(interrupted, interrupted.sweep("tiny"), home)
    files = [path for path in home.path.rglob("*") if "tiny" in path.parts and path.is_file()]
    assert (found.num_trials, found.verdict) == (3, None)
    assert found.num_bytes == sum(path.stat().st_size for path in files)


def test_before_it_has_begun_what_has_its_name_is_another_sweeps(
    tiny_writer: Writer, home: Home
) -> None:
    ledger, storage = tiny_writer.ledger, Storage(home.storage)
    release(ledger.engine, tiny_writer._lease)
    storage.write_bytes("results/tiny/x", b"x")
    assert extent(ledger, ledger.sweep("tiny"), home).num_bytes == 0
    delete(ledger, "tiny", home)
    assert ledger.names() == []
    assert set(storage.sizes("results")) == {"results/tiny/x"}


def test_a_live_driver_is_not_disturbed(interrupted: Ledger, home: Home) -> None:
    before = left(interrupted, home)
    lease = take(interrupted.engine, "tiny")
    with pytest.raises(LeaseHeldError):
        delete(interrupted, "tiny", home)
    release(interrupted.engine, lease)
    assert left(interrupted, home) == before


def _no_storage(home: Home) -> Home:
    (home.path / "file").write_text("")
    return replace(home, storage=str(home.path / "file" / "below"))


@pytest.mark.parametrize(
    ("away", "error"),
    [
        (lambda home: replace(home, tracking_uri=DEAD), TrackingError),
        (_no_storage, StorageError),
    ],
)
def test_with_a_part_away_nothing_is_touched(
    interrupted: Ledger, home: Home, away: Callable[[Home], Home], error: type[Exception]
) -> None:
    elsewhere = away(home)
    before = left(interrupted, home)
    with pytest.raises(error, match=r"Nothing was deleted\.$"):
        delete(interrupted, "tiny", elsewhere)
    assert left(interrupted, home) == before
    assert interrupted.sweep("tiny").state == "interrupted"


class Killed(BaseException):
    """Stands for a SIGKILL; no handler may stop it."""


# Every act of a deletion, and how often it is done for the sweep ``interrupted``.
ACTS: dict[str, tuple[type, str, int]] = {
    "intention": (Writer, "begin_deletion", 1),
    "folder": (Storage, "remove_folder", 2),
    "trash": (SqlAlchemyStore, "delete_experiment", 1),
    "run": (SqlAlchemyStore, "_hard_delete_run", 3),
    "experiment": (SqlAlchemyStore, "_hard_delete_experiment", 1),
    "study": (RDBStorage, "delete_study", 3),
    "sweep": (Writer, "erase", 1),
}
STOPS = [
    (act, number, when)
    for act, (_, _, count) in ACTS.items()
    for number in range(count)
    for when in ("before", "after")
]


def stop_at(
    monkeypatch: pytest.MonkeyPatch, act: str, number: int, when: str, stop: Callable[[], None]
) -> None:
    """Stop before or after the act is done for the ``number``-th time."""
    owner, name, _ = ACTS[act]
    real = getattr(owner, name)
    calls = iter(range(100))

    def stopping(*args: Any) -> None:
        is_now = next(calls) == number
        if is_now and when == "before":
            stop()
        real(*args)
        if is_now:
            stop()

    monkeypatch.setattr(owner, name, stopping)


def _killed() -> None:
    raise Killed


@pytest.mark.parametrize(("act", "number", "when"), STOPS)
def test_stopped_anywhere_it_is_deleted_nowhere_or_goes_on_to_the_end(
    interrupted: Ledger, home: Home, act: str, number: int, when: str
) -> None:
    before = left(interrupted, home)
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, act, number, when, _killed)
        with pytest.raises(Killed):
            delete(interrupted, "tiny", home)
    if (act, when) == ("intention", "before"):
        assert left(interrupted, home) == before
        assert interrupted.sweep("tiny").state == "interrupted"
    elif (act, when) != ("sweep", "after"):
        assert status(interrupted, "tiny")["state"] == "deleting"
        delete(interrupted, "tiny", home)
        assert left(interrupted, home) == []
    else:
        assert left(interrupted, home) == []


CHILD = """
import os, signal, sys
from pathlib import Path
import pytest
sys.path.insert(0, {tests!r})
from test_deletion import stop_at
from service.deletion import delete
from service.home import Home
from service.ledger import Ledger
stop_at(pytest.MonkeyPatch(), {act!r}, 0, "after", lambda: os.kill(os.getpid(), signal.SIGKILL))
home = Home.from_environment()
delete(Ledger(home.ledger_url), "tiny", home)
"""


@pytest.mark.parametrize("act", ["intention", "run", "study"])
def test_killed_for_good_the_next_one_takes_over_at_once(
    interrupted: Ledger, home: Home, act: str
) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MONOSWEEP_", "MLFLOW_"))}
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(tests=str(Path(__file__).parent), act=act)],
        env={**kept, "MONOSWEEP_HOME": str(home.path)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert interrupted.sweep("tiny").state == "deleting"
    delete(interrupted, "tiny", home)
    assert left(interrupted, home) == []


@pytest.fixture
def half_deleted(interrupted: Ledger, home: Home, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, "folder", 0, "after", _killed)
        with pytest.raises(Killed):
            delete(interrupted, "tiny", home)
    return interrupted


def test_nothing_else_can_be_done_with_it_then(
    half_deleted: Ledger, home: Home, make_spec: MakeSpec
) -> None:
    with pytest.raises(SweepDeletingError, match="monosweep delete tiny"):
        resume("tiny", home)
    with pytest.raises(SweepDeletingError, match="monosweep delete tiny"):
        take(half_deleted.engine, "tiny")
    with pytest.raises(SweepExistsError, match=r"being deleted.*monosweep delete tiny"):
        run(make_spec(), home)


def test_with_mlflow_away_half_way_it_says_that_a_part_is_left(
    half_deleted: Ledger, home: Home
) -> None:
    with pytest.raises(TrackingError, match=r"A part is left: .* monosweep delete tiny"):
        delete(half_deleted, "tiny", replace(home, tracking_uri=DEAD))


def test_a_sweep_that_mlflow_never_saw(interrupted: Ledger, home: Home) -> None:
    (home.path / "mlflow.db").unlink()
    delete(interrupted, "tiny", home)
    assert interrupted.names() == []
    assert not (home.path / "mlflow.db").exists()


def test_an_experiment_that_a_user_deleted_gives_up_its_name_too(
    interrupted: Ledger, home: Home
) -> None:
    client = MlflowClient(home.tracking_uri)
    client.delete_experiment(client.get_experiment_by_name("monosweep/tiny").experiment_id)
    delete(interrupted, "tiny", home)
    assert left(interrupted, home) == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_mlflow: Path) -> Iterator[str]:
    """An MLflow server that keeps the artifacts too."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "mlflow.db").write_bytes(empty_mlflow.read_bytes())
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    options = {
        "--backend-store-uri": f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination": str(folder / "artifacts"),
        "--port": port,
        "--workers": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *(w for o in options.items() for w in o)],
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{url}/health", timeout=1).close()
            break
        except OSError:
            time.sleep(0.2)
    yield url
    os.killpg(process.pid, signal.SIGTERM)
    process.wait()


@pytest.mark.parametrize("stopped", ["nowhere", "before", "after"])
def test_on_a_server_the_name_is_free_and_the_trash_has_the_rest(
    interrupted: Ledger,
    home: Home,
    server: str,
    make_facts: Callable[..., Facts],
    stopped: str,
) -> None:
    served = replace(home, tracking_uri=server)
    projection = Projection(server, None, make_facts("tiny"))
    projection.project_trial(interrupted.trials("tiny")[0], None)
    projection.project_summary("a text", None, "KILLED")
    experiment_id = projection.experiment_id
    client = MlflowClient(server)
    (summary,) = client.search_runs([experiment_id], "tags.`monosweep.summary` = 'tiny'")
    if stopped != "nowhere":
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(ACTS, "rename", (MlflowClient, "rename_experiment", 1))
            stop_at(patch, "rename", 0, stopped, _killed)
            with pytest.raises(Killed):
                delete(interrupted, "tiny", served)
    delete(interrupted, "tiny", served)
    assert client.get_experiment_by_name("monosweep/tiny") is None
    assert [each.name for each in client.search_experiments()] == ["Default"]
    put_away = client.get_experiment(experiment_id)
    assert (put_away.lifecycle_stage, put_away.name) == (
        "deleted",
        f"monosweep/tiny (deleted {experiment_id})",
    )
    assert client.search_runs([experiment_id]) == []
    assert client.list_artifacts(summary.info.run_id) == []
    # Another sweep of the name begins with nothing.
    assert Projection(server, None, make_facts("tiny")).trial_ids() == set()
    client.delete_experiment(client.get_experiment_by_name("monosweep/tiny").experiment_id)
