"""MLflow's own database file, made whole or not at all.

MLflow builds it by dozens of migrations, each of several commits on SQLite: a process that is
killed among them leaves a file that MLflow can neither open nor mend.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from alembic.util.exc import CommandError
from filelock import FileLock
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import URL, CreateEnginePlugin, Engine, create_engine, event, text
from sqlalchemy.dialects import plugins
from sqlalchemy.exc import SQLAlchemyError

from service.ledger.connections import cause

# What MLflow raises while it is away or refuses; also where its database is of a version that its
# migrations have never heard of, or so damaged that SQLite's text cannot be decoded.
MLFLOW_ERRORS = (MlflowException, OSError, SQLAlchemyError, CommandError, UnicodeDecodeError)


def said_by(error: Exception) -> str:
    """What MLflow said, on one line: its database's own words if it was one that refused."""
    by_database = isinstance(error.__cause__, SQLAlchemyError)
    return cause(error.__cause__ if by_database else error)


def make_database(path: Path, artifacts: Path) -> None:
    """Make MLflow's database, if it is not there yet.

    Args:
        path: The SQLite file.
        artifacts: Where runs put artifacts whose experiment says nothing else.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if path.exists():
            return
        for left in path.parent.glob(f"{path.name}.*.partial*"):
            left.unlink()  # of a process that was killed, or a disk that was full
        # Another name at each try: MLflow goes on with the file that it once opened under a name.
        partial = path.with_name(f"{path.name}.{uuid4().hex}.partial")
        store = SqlAlchemyStore(f"sqlite:///{partial}?plugin={_UNSAFE}", str(artifacts))
        # Kept in the file: who looks at pages and who writes do not wait for each other.
        with store.engine.connect() as connection:
            connection.execute(text("PRAGMA journal_mode=WAL"))
        store.engine.dispose()
        with partial.open("rb") as whole:
            os.fsync(whole.fileno())
        # Of a database that somebody removed: SQLite would take them for the new one's.
        for ending in ("-wal", "-shm"):
            path.with_name(f"{path.name}{ending}").unlink(missing_ok=True)
        partial.replace(path)


class _UnsafeEngine(CreateEnginePlugin):
    """An engine that leaves it to the operating system when its file reaches the disk.

    With a disk that is busy the hundreds of commits waited longer for it than they took to compute;
    what is thrown away when its maker dies needs none of it.
    """

    def update_url(self, url: URL) -> URL:
        """Nothing else in the URL is this plugin's."""
        return url.difference_update_query(["plugin"])

    def engine_created(self, engine: Engine) -> None:
        """For each connection that it opens."""

        @event.listens_for(engine, "connect")
        def connected(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute("PRAGMA journal_mode=MEMORY")


_UNSAFE = "monosweep.unsafe"
plugins.register(_UNSAFE, __name__, _UnsafeEngine.__name__)


def spare_the_disk(engine: Engine) -> None:
    """Let commits to an SQLite file not wait for the disk, from the next connection on.

    MLflow makes ten of them for every run. A killed process loses nothing; after a power cut the
    last runs may be gone, and are filled in by ``resume`` as those are that somebody deleted.
    """
    # MLflow gives every client of one address the same engine.
    if engine.dialect.name == "sqlite" and not event.contains(engine, "connect", _tune):
        event.listen(engine, "connect", _tune)
        engine.dispose()


def _tune(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=NORMAL").close()


def analyze(url: str) -> None:
    """Have SQLite count what is in the tables, so that it asks them in the right order.

    With 5,000 runs of 100 points, ordering them by a metric took 4 to 5 s before and 0.2 to 0.5 s
    after; a connection that was open before goes on as before. For a file of ours only: what a
    server's database does is its owner's business.

    Args:
        url: Of MLflow's SQLite file, as SQLAlchemy writes it.

    Raises:
        SQLAlchemyError: If it cannot be written now.
    """
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(text("ANALYZE"))
            connection.execute(text("PRAGMA optimize"))
    finally:
        engine.dispose()


def analyze_if_free(url: str) -> None:
    """The same where it is no more than a courtesy: a file that is busy or read-only stays."""
    with suppress(SQLAlchemyError):
        analyze(url)
