"""How the ledger's database is opened: checked, made where it is not there, brought up to date."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.storages import RDBStorage
from sqlalchemy import Engine, create_engine, func, insert, inspect, select, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError

from service.errors import LedgerAwayError, LedgerError, OlderLedgerError, UserError
from service.home import without_password
from service.ledger.connections import PLUGIN, cause, options, set_up, unanswered
from service.ledger.damage import read_json
from service.ledger.migrations import VERSION, migrate
from service.ledger.tables import metadata, results, sweeps, version, writing

_KINDS = (
    "the ledger must be a SQLite file or a PostgreSQL database, found {found}. Mend "
    "MONOSWEEP_LEDGER_URL: sqlite:///PATH, or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE."
)
# Any number that no other program takes as its lock on PostgreSQL.
_CREATION_LOCK = 0x6D6F6E6F

# Tables that tell whose a database is.
_OPTUNAS_TABLE = "studies"
_MLFLOWS_TABLE = "experiments"


def connect(
    url: str,
    *,
    create: bool = True,
    bring_up_to_date: bool = False,
    on_missing: Callable[[], None] = lambda: None,
) -> Engine:
    """The database at ``url``, with our tables and Optuna's in it; see ``tell_outages``.

    Args:
        url: A SQLAlchemy URL, SQLite or PostgreSQL.
        create: Make the tables that are not there; otherwise refuse a database without them.
        bring_up_to_date: Bring the tables of an earlier version up to date.
        on_missing: Called where there is no ledger, before one is made; may raise to prevent it.

    Raises:
        UserError: If the URL is none, there is no such database or nobody may open it so, it is
            another program's, or there is no ledger to read.
        LedgerError: If it cannot be opened, is damaged, or was written by a newer monosweep.
        LedgerAwayError: If it does not answer now.
    """
    shown = without_password(url)
    engine = engine_for(url)
    try:
        if not create:
            _check_is_there(engine, shown, on_missing)
        if create or bring_up_to_date:
            with _alone(engine):
                if not _is_there(engine):
                    on_missing()
                _check_is_no_other_programs(engine, shown)
                _create_tables(engine)
        _check_version(engine)
    except (DatabaseError, sqlite3.Error, OSError) as error:
        raise LedgerError(_not_opened(error, shown)) from error
    except LedgerAwayError as error:
        raise unanswered(error, shown) from error
    return engine


def engine_for(url: str) -> Engine:
    """What connects to the database at ``url``, which nothing is known of yet.

    Raises:
        UserError: If the URL is none, or of a database that cannot be a ledger.
    """
    shown = without_password(url)
    parsed = _parsed(url, shown)
    try:
        engine = create_engine(parsed, json_deserializer=read_json, **options(parsed))
    except (ArgumentError, ImportError, ValueError) as error:
        raise UserError(
            f"the ledger's database must have a driver here, found {without_password(str(error))} "
            f"({shown}). Begin its URL with postgresql+psycopg://, and install that driver: "
            "pip install 'psycopg[binary]'"
        ) from error
    set_up(engine)
    return engine


def _parsed(url: str, shown: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise UserError(_KINDS.format(found=shown)) from error
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql") or parsed.database in (None, "", ":memory:"):
        raise UserError(_KINDS.format(found=shown))
    return parsed


def _not_opened(error: BaseException, shown: str) -> str:
    return (
        f"the ledger cannot be opened: {without_password(cause(error))} ({shown}). "
        "Check that the database is there and whole, and that you may write to it."
    )


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """Hold the other processes back that would make the same tables at the same moment."""
    if engine.dialect.name == "sqlite":
        path = Path(str(engine.url.database))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"the ledger's folder must be one that can be made, found: {error}. "
                "Mend MONOSWEEP_HOME or MONOSWEEP_LEDGER_URL."
            ) from error
        with FileLock(f"{path}.lock"):
            yield
        return
    with engine.connect() as connection, connection.begin():
        connection.execute(select(func.pg_advisory_xact_lock(_CREATION_LOCK)))
        yield


def _is_there(engine: Engine) -> bool:
    # To connect would make the file.
    if engine.dialect.name == "sqlite" and not Path(str(engine.url.database)).exists():
        return False
    return inspect(engine).has_table(version.name)


def _check_is_there(engine: Engine, shown: str, on_missing: Callable[[], None]) -> None:
    if not _is_there(engine):
        on_missing()
        raise UserError(
            f"there must be a ledger to read, found none ({shown}). Start a sweep with: monosweep "
            "run quickstart; or name the home of an earlier one: MONOSWEEP_HOME=DIR monosweep ..."
        )


def _check_is_no_other_programs(engine: Engine, shown: str) -> None:
    """Refuse a database whose ``alembic_version`` is not Optuna's, before anything is made in it.

    That table says how old a program's tables are: two programs that share it, such as MLflow and
    Optuna, each find it wrong.
    """
    found = set(inspect(engine).get_table_names())
    if "alembic_version" in found and not found & {version.name, _OPTUNAS_TABLE}:
        whose = "MLflow's" if _MLFLOWS_TABLE in found else "another program's"
        raise UserError(
            f"the ledger must have a database of its own, found {whose} tables in it ({shown}). "
            "Make an empty one, and name it in MONOSWEEP_LEDGER_URL."
        )


def _create_tables(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        # Kept in the file from here on.
        with engine.connect() as connection:
            connection.connection.driver_connection.execute("PRAGMA journal_mode=WAL")  # type: ignore[union-attr]
    metadata.create_all(engine)
    _make_optunas_tables(engine.url.render_as_string(hide_password=False))
    with writing(engine) as connection:
        found = connection.scalar(select(version.c.version))
        if found is None:
            connection.execute(insert(version).values(version=VERSION))
        elif found < VERSION:
            migrate(connection, found, (sweeps, results))
            connection.execute(update(version).values(version=VERSION))


def _make_optunas_tables(url: str) -> None:
    """Make Optuna's tables, where they are not there yet.

    Raises:
        LedgerError: If there are those of another version of Optuna.
    """
    try:
        RDBStorage(url, engine_kwargs={"plugins": [PLUGIN]}).engine.dispose()
    except RuntimeError as error:
        raise LedgerError(
            f"the ledger must have tables that Optuna {optuna.__version__} can read, found others: "
            f"{error} Use the version of monosweep that wrote it, or put back a copy."
        ) from error


def _check_version(engine: Engine) -> None:
    with engine.connect() as connection:
        found = connection.scalar(select(version.c.version))
    if found is not None and found < VERSION:
        raise OlderLedgerError(
            f"the ledger must have table version {VERSION}, found {found}, an older one. "
            "Bring it up to date with: monosweep doctor --fix (or monosweep resume NAME)"
        )
    if found != VERSION:
        raise LedgerError(
            f"the ledger must have table version {VERSION}, found {found}. "
            "Use the version of monosweep that wrote it, or a newer one."
        )
