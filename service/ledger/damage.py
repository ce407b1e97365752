"""A database file that is damaged: found before it misleads, and named where it is met."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from service.errors import LedgerError

# Rows that are not readable, a header that is none, and tables that are not as they were made.
_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR")
# Python's own words for text that is none any more, which have no code of SQLite's.
_NO_TEXT = "Could not decode to UTF-8"


def damage(path: Path) -> list[str]:
    """What SQLite finds wrong in a file, row by row; nothing where it is whole."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)")]
            strays = connection.execute("PRAGMA foreign_key_check").fetchall()
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        return [_words(error)]
    # SQLite's word for a file that is whole.
    problems = [problem for problem in found if problem != "ok"]
    return problems + [f"a row of {table} belongs to none of {of}" for table, _, of, _ in strays]


def how_to_restore(path: Path) -> str:
    """What a person can do about a damaged ledger."""
    return (
        f"Put back a copy of {path} (without the files {path.name}-wal and {path.name}-shm beside "
        f"it), or save what can be read with: sqlite3 {path} .recover | sqlite3 new.db"
    )


def read_json(text: str | bytes) -> Any:
    """A JSON column's value.

    Raises:
        LedgerError: If it was damaged in place, which SQLite does not notice.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise LedgerError(
            f"the ledger must hold JSON where it was written, found {text[:60]!r} ({error}). "
            "Put back a copy of the ledger."
        ) from error


def name_damage(engine: Engine) -> None:
    """Let damage that is met anywhere be an error of the ledger's, not one of the program's."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "handle_error")
    def name(context: Any) -> None:
        error = context.original_exception
        is_damage = getattr(error, "sqlite_errorname", "").startswith(_DAMAGE)
        if is_damage or isinstance(error, UnicodeDecodeError) or str(error).startswith(_NO_TEXT):
            raise _damaged(engine, error) from error


@contextmanager
def naming_damage(engine: Engine) -> Iterator[None]:
    """The same where a connection is set up: there SQLAlchemy knows the driver's errors only."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise _damaged(engine, error) from error


def _damaged(engine: Engine, error: BaseException) -> LedgerError:
    path = Path(str(engine.url.database))
    return LedgerError(
        f"the ledger must be whole, found it damaged: {_words(error)} ({path}). "
        f"{how_to_restore(path)}"
    )


def _words(error: BaseException) -> str:
    """What SQLite said; it quotes names as they are, and Python cannot read those that are damaged.

    What it could not read is then all that it tells.
    """
    if isinstance(error, UnicodeDecodeError):
        return error.object.decode(errors="replace")
    return str(error)
