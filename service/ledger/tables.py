"""Our tables, beside Optuna's in one database, and how the database is opened.

Optuna keeps the trials and their parameters; these keep the sweep, the lease, the attempts and
the results. ``alembic_version`` is Optuna's; ours have a version table of their own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    func,
    insert,
    literal_column,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError
from sqlalchemy.sql.elements import ColumnElement

from service.errors import LedgerError, UserError

VERSION = 1
BUSY_TIMEOUT_S = 30.0

metadata = MetaData()

version = Table("monosweep_version", metadata, Column("version", Integer, primary_key=True))

sweeps = Table(
    "monosweep_sweeps",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("created_at", Float, nullable=False),
    Column("spec_text", Text, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("versions", JSON, nullable=False),
    Column("num_trials", Integer, nullable=False),
    Column("resolved", JSON),
    Column("phase", String(16), nullable=False),
    Column("verdict", JSON),
    Column("failure", Text),
    Column("finished_at", Float),
)

leases = Table(
    "monosweep_leases",
    metadata,
    Column("sweep", ForeignKey("monosweep_sweeps.name", ondelete="CASCADE"), primary_key=True),
    Column("token", String(32), nullable=False),
    Column("host", String(255), nullable=False),
    Column("boot_id", String(64), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_start", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
)

attempts = Table(
    "monosweep_attempts",
    metadata,
    Column("sweep", ForeignKey("monosweep_sweeps.name", ondelete="CASCADE"), primary_key=True),
    Column("cohort_id", String(64), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("outcome", Text),
)

results = Table(
    "monosweep_results",
    metadata,
    Column("sweep", ForeignKey("monosweep_sweeps.name", ondelete="CASCADE"), primary_key=True),
    Column("trial_id", String(64), primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("metrics", JSON, nullable=False),
    Column("replicates", JSON, nullable=False),
    Column("loss_ratio", Float),
    Column("num_steps", Integer, nullable=False),
    Column("train_s", Float, nullable=False),
    Column("curves", Text),
    Column("neurons", Text),
    Column("ended_at", Float, nullable=False),
    Column("mlflow_run_id", String(64)),
)


def connect(url: str, *, create: bool = True) -> Engine:
    """The database at ``url``, with our tables in it.

    Args:
        url: A SQLAlchemy URL.
        create: Make a SQLite file that is not there; otherwise refuse it.

    Raises:
        UserError: If the URL is none, or there is no such file.
        LedgerError: If it cannot be opened, is damaged, or was written by a newer monosweep.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            _check_file(Path(parsed.database), create)
        engine = create_engine(parsed)
        tune_sqlite(engine)
        _begin_sqlite_ourselves(engine)
        _create_tables(engine)
    except (ArgumentError, ImportError) as error:
        raise UserError(
            f"the ledger's URL must be one that SQLAlchemy can open, found {url!r} ({error}). "
            "Mend MONOSWEEP_LEDGER_URL."
        ) from error
    except (DatabaseError, OSError) as error:
        raise LedgerError(
            f"the ledger cannot be opened: {_cause(error)} "
            f"({make_url(url).render_as_string(hide_password=True)}). "
            "Check that the database is there and whole, and that you may write to it."
        ) from error
    return engine


def _check_file(path: Path, create: bool) -> None:
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.exists():
        raise UserError(
            f"there must be a ledger to read, found none ({path}). Start a sweep with: monosweep "
            "run quickstart; or name the home of an earlier one: MONOSWEEP_HOME=DIR monosweep ..."
        )


def tune_sqlite(engine: Engine) -> None:
    """Readers that never block the writer, and one fsync a checkpoint instead of one a commit.

    With write-ahead logging and ``synchronous=NORMAL`` a killed process loses nothing; only a
    power cut can lose the last commits, never the database's consistency.
    """
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()


def _begin_sqlite_ourselves(engine: Engine) -> None:
    """Let transactions on SQLite begin where they say they do.

    Python's driver begins one only at the first write, so that what was read before it (a lease's
    token, say) could be out of date by then.
    """
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def leave_it_to_us(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes; what it has read stays true until it commits.

    On SQLite it holds the write lock from its start; elsewhere rows are locked as they are read.
    """
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


def _create_tables(engine: Engine) -> None:
    metadata.create_all(engine)
    try:
        with writing(engine) as connection:
            if connection.scalar(select(func.count()).select_from(version)) == 0:
                connection.execute(insert(version).values(version=VERSION))
    except IntegrityError:
        pass  # another process made the tables at the same moment
    with engine.connect() as connection:
        found = connection.scalar(select(version.c.version))
    if found != VERSION:
        raise LedgerError(
            f"the ledger must have table version {VERSION}, found {found}. "
            "Use the version of monosweep that wrote it, or a newer one."
        )


def _cause(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error)


def now(connection: Connection) -> ColumnElement[float]:
    """The database's clock in seconds since 1970, as an expression."""
    if connection.dialect.name == "sqlite":
        return literal_column("(julianday('now') - 2440587.5) * 86400.0", Float)
    return literal_column("extract(epoch from clock_timestamp())", Float)
