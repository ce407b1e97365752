"""MLflow's database survives a process that is killed while it is made."""

import multiprocessing
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import Engine, event

from service.errors import TrackingError
from service.home import Home
from service.tracking import check_answers
from service.tracking.database import MLFLOW_ERRORS, make_database

MAKE = """
import sys
from pathlib import Path
from service.tracking.database import make_database
make_database(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_killed_maker_leaves_nothing_that_the_next_one_minds(tmp_path: Path) -> None:
    path = tmp_path / "home" / "mlflow.db"

    def partials() -> list[Path]:
        return list(path.parent.glob("mlflow.db.*.partial*"))

    for pause_s in (0.0, 0.1, 0.2):
        maker = subprocess.Popen([sys.executable, "-c", MAKE, str(path), str(tmp_path)])
        until = time.monotonic() + 60
        for left in partials():
            left.unlink(missing_ok=True)
        while not partials():
            assert time.monotonic() < until
            time.sleep(0.01)
        time.sleep(pause_s)
        maker.kill()
        maker.wait()
        assert not path.exists()
    make_database(path, tmp_path)
    client = MlflowClient(f"sqlite:///{path}")
    assert client.get_experiment(client.create_experiment("after")).name == "after"
    assert not partials()


def test_what_could_not_be_made_on_a_full_disk_is_made_when_there_is_room(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In the same process, in which MLflow has the first try's file open."""
    path = tmp_path / "mlflow.db"
    statements = []

    def full(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)
        if len(statements) > 20:
            raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(SqlAlchemyStore, "_engine_map", {})
        event.listen(Engine, "before_cursor_execute", full)
        try:
            with pytest.raises((*MLFLOW_ERRORS, sqlite3.OperationalError)):
                make_database(path, tmp_path)
        finally:
            event.remove(Engine, "before_cursor_execute", full)
        assert not path.exists()
        make_database(path, tmp_path)
    client = MlflowClient(f"sqlite:///{path}")
    assert client.get_experiment(client.create_experiment("after")).name == "after"
    assert list(tmp_path.glob("*.partial*")) == []


def test_one_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_bytes(b"somebody's")
    make_database(path, tmp_path)
    assert path.read_bytes() == b"somebody's"


def test_two_at_once_make_one(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    context = multiprocessing.get_context("spawn")
    makers = [context.Process(target=make_database, args=(path, tmp_path)) for _ in range(2)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join(60)
    assert [maker.exitcode for maker in makers] == [0, 0]
    assert MlflowClient(f"sqlite:///{path}").search_experiments()


def test_a_database_of_a_version_unheard_of_is_named(home: Home, empty_mlflow: Path) -> None:
    """Its migrations raise an error of their own, which ended whoever asked."""
    home.path.mkdir()
    shutil.copy(empty_mlflow, home.path / "mlflow.db")
    with closing(sqlite3.connect(home.path / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v99'")
    with pytest.raises(TrackingError, match="MLflow must answer"):
        check_answers(home.tracking_uri)


def test_a_damaged_database_is_named_on_one_line(home: Home) -> None:
    home.mlflow_db.parent.mkdir(parents=True, exist_ok=True)
    home.mlflow_db.write_bytes(b"no database at all" * 100)
    with pytest.raises(TrackingError, match=r"file is not a database.*: monosweep doctor$") as said:
        check_answers(home.tracking_uri)
    assert "\n" not in str(said.value)


def test_a_table_whose_name_is_no_text_any_more_is_named(home: Home, empty_mlflow: Path) -> None:
    """SQLite hands out the bytes that it finds, which fail to be decoded outside of its errors."""
    home.path.mkdir()
    damaged = empty_mlflow.read_bytes().replace(b"tableexperiments", b"table\xd2xperiments")
    home.mlflow_db.write_bytes(damaged)
    with pytest.raises(TrackingError, match=r"MLflow must answer, found: .*can't decode"):
        check_answers(home.tracking_uri)
