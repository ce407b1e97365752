"""How the ledger's kinds of database are spoken to, by our engine and by Optuna's alike."""

import re
import sqlite3
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects import plugins
from sqlalchemy.engine import URL, CreateEnginePlugin, ExceptionContext
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from service.errors import LedgerAwayError, LedgerError, UserError
from service.home import without_password
from service.ledger.damage import name_damage, naming_damage

BUSY_TIMEOUT_S = 30.0
IDLE_TIMEOUT_S = 30.0
# A server answers calls in 40 threads, and has a few of its own; so many connections stay open
# between two calls, and so many more there may be while they are needed.
NUM_KEPT = 5
NUM_MORE = 40
# SQLite's names for a lock that is held, a disk that is full, one that fails, and a folder that is
# not mounted, or only to be read.
_PASSES = (
    *("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL"),
    *("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY"),
)
# PostgreSQL's word for a server that stands by, and has not taken over yet.
_STANDS_BY = "25006"
# PostgreSQL's own words: seconds, but for the last one's milliseconds.
_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# PostgreSQL's words for what it refuses for good. Its client hands on no code of a connection that
# was never made; in another language than English it counts as one that does not answer.
_REFUSALS = (
    (
        r'database ".*" does not exist',
        "Make it (createdb), or mend the database's name in MONOSWEEP_LEDGER_URL.",
    ),
    (
        r'role ".*" (does not exist|is not permitted)|authentication failed|no password supplied'
        r"|no pg_hba.conf entry|permission denied for database",
        "Mend the user or the password in MONOSWEEP_LEDGER_URL, or let that user in.",
    ),
)


class Pool(QueuePool):
    """Connections of one process, which are waited for where all of them are in use."""

    def connect(self) -> PoolProxiedConnection:
        """One that nobody else uses.

        Raises:
            LedgerAwayError: If none comes free: mostly since the database holds up all who ask.
        """
        try:
            return super().connect()
        except PoolTimeoutError as error:
            raise LedgerAwayError(
                f"the ledger does not answer: all {NUM_KEPT + NUM_MORE} connections to it are in "
                "use, and none came free in time. Check that its database is not overloaded."
            ) from error


def options(url: URL) -> dict[str, Any]:
    """What SQLAlchemy is to be told when it opens a database.

    Connections of before a restart are noticed. A PostgreSQL that does not answer, or whose machine
    is gone without a word, is an error within half a minute instead of a quarter of an hour; what
    the URL says itself stays.
    """
    pool = {
        "pool_pre_ping": True,
        "poolclass": Pool,
        "pool_size": NUM_KEPT,
        "max_overflow": NUM_MORE,
    }
    if not url.drivername.startswith("postgresql+psycopg"):
        return pool
    ours = {name: value for name, value in _PATIENCE.items() if name not in url.query}
    return {**pool, "connect_args": ours}


def tune(engine: Engine) -> None:
    """Have every connection that an engine opens from now on set up for its kind of database."""
    tune_one = _tune_sqlite if engine.dialect.name == "sqlite" else _tune_postgresql

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        with naming_damage(engine):
            tune_one(connection)


def _tune_sqlite(connection: Any) -> None:
    """Readers that never block the writer, and one fsync a checkpoint instead of one a commit.

    With write-ahead logging and ``synchronous=NORMAL`` a killed process loses nothing; only a
    power cut can lose the last commits, never the database's consistency.
    """
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _tune_postgresql(connection: Any) -> None:
    """A driver that stops within a transaction cannot hold its locks for ever.

    One that is paused, or whose machine is gone without a word, would keep the next one from the
    lease for hours: nobody tells the server.
    """
    cursor = connection.cursor()
    cursor.execute(f"SET idle_in_transaction_session_timeout = {int(IDLE_TIMEOUT_S * 1000)}")
    cursor.close()
    connection.commit()


def set_up(engine: Engine, *, always_writes: bool = False) -> None:
    """Have an engine speak to the ledger as all do; see the functions that this calls."""
    tune(engine)
    begin_sqlite_ourselves(engine, always_writes=always_writes)
    name_damage(engine)
    tell_outages(engine)


def begin_sqlite_ourselves(engine: Engine, *, always_writes: bool = False) -> None:
    """Let transactions on SQLite begin where they say they do.

    Python's driver begins one only at the first write, so that what was read before it (a lease's
    token, say) could be out of date by then.

    Args:
        engine: The engine to change.
        always_writes: Take the write lock in every transaction, not only in those of ``writing``.
    """
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def leave_it_to_us(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = always_writes or connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def tell_outages(engine: Engine) -> None:
    """Raise ``LedgerAwayError`` wherever the database does not answer, and nothing of SQLAlchemy's.

    A server that is down or restarts, a lock that is never given back, a disk that is full or not
    there: each may pass. What it refuses for good, such as what its user may not do, is a
    ``LedgerError``; only a row that is there already is left to who inserts it. Optuna leaves an
    error alone that is not SQLAlchemy's, instead of trying again where it cannot know whether its
    commit was heard.
    """

    @event.listens_for(engine, "handle_error")
    def tell(context: ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        if context.is_pre_ping:
            return  # a connection of before a restart, which the pool replaces by itself
        if context.is_disconnect or _may_pass(error):
            raise LedgerAwayError(
                f"the ledger does not answer: {without_password(cause(error)).rstrip('.?')}. "
                "Check that its database is running, that its disk is there and not full, and that "
                "you may write to it."
            ) from error
        if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
            raise LedgerError(
                "the ledger's database must let its tables be read and written, found it refuses: "
                f"{without_password(_first_line(error)).rstrip('.')}. Check that they are all "
                "there, and what the user of MONOSWEEP_LEDGER_URL may do with them."
            ) from error


def _may_pass(error: BaseException | None) -> bool:
    """Whether the same may be asked again; SQLite calls a missing table operational, too."""
    if isinstance(getattr(error, "orig", None), sqlite3.Error):
        name = getattr(error.orig, "sqlite_errorname", "")  # type: ignore[union-attr]
        return name.startswith(_PASSES)
    return (
        isinstance(error, OperationalError | InterfaceError)
        or getattr(getattr(error, "orig", None), "sqlstate", None) == _STANDS_BY
    )


def _first_line(error: DBAPIError) -> str:
    """What the database itself said; PostgreSQL goes on with where in the statement."""
    return str(error.orig).partition("\n")[0]


def refusal(said: str) -> str | None:
    """What a person must do before PostgreSQL opens the database; None if they need only wait."""
    return next((what for words, what in _REFUSALS if re.search(words, said)), None)


def unanswered(error: LedgerAwayError, shown: str) -> UserError | LedgerAwayError:
    """What is said where the database is not heard of, or has refused us by name."""
    said = without_password(cause(error.__cause__ or error)).rstrip(".?")
    what = refusal(said)
    if what is not None:
        return UserError(
            f"the ledger's database must let monosweep in, found: {said} ({shown}). {what}"
        )
    return LedgerAwayError(
        f"the ledger does not answer: {said} ({shown}). Check that its database is running, that "
        "MONOSWEEP_LEDGER_URL names it, that its disk is not full, and that you may write to it."
    )


def cause(error: BaseException | None) -> str:
    """What the database itself said, on one line."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


class LedgerEngine(CreateEnginePlugin):
    """Sets an engine up that another library makes, before that opens its first connection.

    Asked for in what SQLAlchemy is told: ``plugins=[PLUGIN]``, and ``always_writes`` as for
    ``begin_sqlite_ourselves``.
    """

    def __init__(self, url: URL, kwargs: dict[str, Any]) -> None:
        super().__init__(url, kwargs)
        self._always_writes = kwargs.pop("always_writes", False)

    def update_url(self, url: URL) -> URL:
        """Nothing in the URL is this plugin's."""
        return url

    def engine_created(self, engine: Engine) -> None:
        """As the ledger's own engine is set up."""
        set_up(engine, always_writes=self._always_writes)


PLUGIN = "monosweep.ledger"
plugins.register(PLUGIN, __name__, LedgerEngine.__name__)
