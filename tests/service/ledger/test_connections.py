import shutil
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import make_url

from service.errors import LedgerAwayError, LedgerError
from service.home import Home
from service.ledger import Ledger, Writer, take
from service.ledger.connections import options, refusal
from service.ledger.studies import open_storage
from service.trials import Point

POINT = Point(settings={"num_neurons": 64}, seeds=(3,))
only_sqlite = pytest.mark.parametrize("new_ledger_url", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("new_ledger_url", ["postgresql"], indirect=True)


def begun(ledger: Ledger) -> Ledger:
    """With a sweep in it."""
    ledger.create_sweep("s", spec_text="name: s", settings={}, versions={}, num_trials=1)
    return ledger


@pytest.fixture
def ledger(home: Home) -> Iterator[Ledger]:
    with closing(begun(Ledger(home.ledger_url))) as ledger:
        yield ledger


def writes(ledger: Ledger, writer: Writer) -> list[Callable[[], object]]:
    """A write by our half, by Optuna's, and by one that opens the ledger anew."""
    return [
        partial(writer.enter_phase, "search"),
        partial(writer.add_trials, "search", 0, [POINT], "search-0", {}),
        partial(begun, ledger),
    ]


def test_a_server_that_takes_connections_and_never_answers_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(options.__globals__["_PATIENCE"], "connect_timeout", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(LedgerAwayError, match=r"does not answer: .*timeout expired"):
            Ledger(f"postgresql+psycopg://nobody@127.0.0.1:{port}/none")
    assert time.monotonic() - began < 20


def test_what_the_url_says_of_patience_stays() -> None:
    url = make_url("postgresql+psycopg://u@host/db?connect_timeout=60")
    assert "connect_timeout" not in options(url)["connect_args"]
    assert options(url)["connect_args"]["tcp_user_timeout"] == 30_000
    # Other drivers have other words for it.
    assert "connect_args" not in options(make_url("postgresql+pg8000://u@host/db"))
    assert "connect_args" not in options(make_url("sqlite:///ledger.db"))


@only_sqlite
def test_a_file_that_may_not_be_written_is_waited_for(ledger: Ledger) -> None:
    """As where a disk was mounted to be read only; whoever just looks sees all of it."""
    with closing(Writer(ledger, take(ledger.engine, "s"))) as writer:
        for engine in (ledger.engine, writer._storage.engine):
            engine.dispose()

            @event.listens_for(engine, "connect")
            def only_read(connection: sqlite3.Connection, _record: object) -> None:
                connection.execute("PRAGMA query_only = ON")

        for write in writes(ledger, writer):
            with pytest.raises(LedgerAwayError, match=r"readonly database\. Check .* may write"):
                write()
        assert ledger.names() == ["s"]


@only_sqlite
def test_a_home_that_is_gone_is_waited_for(ledger: Ledger, home: Home, tmp_path: Path) -> None:
    """As where a disk is not mounted any more; when it is back all goes on."""
    with closing(Writer(ledger, take(ledger.engine, "s"))) as writer:
        folder = Path(str(ledger.engine.url.database)).parent
        ledger.engine.dispose()
        writer.close()
        shutil.move(folder, tmp_path / "away")
        for write in (ledger.names, *writes(ledger, writer)):
            with pytest.raises(LedgerAwayError, match="unable to open database file"):
                write()
        shutil.move(tmp_path / "away", folder)
        writer.enter_phase("search")
    assert ledger.sweep("s").phase == "search"


def as_a_reader(ledger: Ledger) -> str:
    """The URL of a role that may read every table and do nothing else."""
    url = make_url(ledger.url)
    role = f"reader_of_{url.database}"
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
        connection.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    return url.set(username=role).render_as_string(hide_password=False)


@only_postgresql
def test_what_a_user_may_not_do_is_said_in_the_databases_words(ledger: Ledger) -> None:
    lease = take(ledger.engine, "s")
    with closing(Ledger(as_a_reader(ledger))) as reader:
        assert reader.sweep("s").num_trials == 1
        assert reader.trials("s") == []
        refused = "found it refuses: permission denied for table"
        for write in (partial(take, reader.engine, "s"), partial(begun, reader)):
            with pytest.raises(LedgerError, match=refused) as said:
                write()
            assert not isinstance(said.value, LedgerAwayError)
            assert "what the user of MONOSWEEP_LEDGER_URL may do" in str(said.value)
            # Neither the statement nor what was to be written.
            assert "INSERT" not in str(said.value)
            assert "name: s" not in str(said.value)
        with pytest.raises(LedgerError, match=refused):
            Writer(reader, lease).create_studies(["maximize"])


@only_postgresql
def test_tables_that_are_gone_are_said(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE monosweep_attempts")
    said = r'refuses: relation "monosweep_attempts" does not exist\. Check that they are all there'
    with pytest.raises(LedgerError, match=said):
        ledger.trials("s")


@only_postgresql
def test_a_server_that_stands_by_is_waited_for(ledger: Ledger) -> None:
    """After the other one has died, and before this one takes over."""
    name = ledger.engine.url.database
    with ledger.engine.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        connection.commit()
    ledger.engine.dispose()
    with pytest.raises(LedgerAwayError, match=r"cannot execute .* in a read-only transaction"):
        take(ledger.engine, "s")


# As PostgreSQL 16 and its client say it; on the tests' own server everybody is trusted.
@pytest.mark.parametrize(
    "said",
    [
        'FATAL:  password authentication failed for user "ada"',
        "fe_sendauth: no password supplied",
        'FATAL:  no pg_hba.conf entry for host "127.0.0.1", user "ada", database "x"',
    ],
)
def test_a_user_that_is_not_let_in_must_be_mended(said: str) -> None:
    assert "Mend the user or the password" in str(refusal(said))


@pytest.mark.parametrize(
    "said",
    [
        "FATAL:  the database system is starting up",
        "FATAL:  sorry, too many clients already",
        "Connection refused Is the server running on that host and accepting TCP/IP connections?",
    ],
)
def test_a_server_that_will_answer_again_refuses_nothing(said: str) -> None:
    assert refusal(said) is None


def test_who_finds_every_connection_in_use_is_told_that_the_ledger_is_away(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ledger.engine
    monkeypatch.setattr(engine.pool, "_timeout", 0.05)
    with ExitStack() as used:
        # As many as threads that answer calls.
        for _ in range(45):
            used.enter_context(engine.connect())
        with pytest.raises(LedgerAwayError, match="all 45 connections to it are in use"):
            ledger.names()
    assert ledger.names() == ["s"]


def test_threads_that_ask_at_once_for_optunas_storage_share_one(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def slowly(url: str) -> object:
        made.append(url)
        time.sleep(0.05)
        return open_storage(url)

    monkeypatch.setattr("service.ledger.reading.open_storage", slowly)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: ledger.storage, range(4)))
    assert len(made) == 1
    assert all(one is found[0] for one in found)
