"""Checksums of rows: what was changed in place, which no database notices, is found when read."""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from sqlalchemy import Column, Connection, Table, Text, select, update

from service.errors import LedgerError

COLUMN = "checksum"
# The projection's own, written by whoever it is, and made anew at any time.
_LEFT_OUT = frozenset({COLUMN, "mlflow_run_id"})
# Columns younger than the checksums: rows from before have nothing in them, and keep theirs.
_YOUNGER = frozenset({"budgets", "standings", "weights"})
_JSON = json.JSONEncoder(sort_keys=True)


def column() -> "Column[str]":
    """The column of a table whose rows have a checksum."""
    return Column(COLUMN, Text)


def checksum(content: Mapping[str, Any]) -> str:
    """Of values by name, in whatever order."""
    kept = {
        name: value
        for name, value in content.items()
        if name not in _LEFT_OUT and not (name in _YOUNGER and value is None)
    }
    return sha256(_JSON.encode(kept).encode()).hexdigest()


def checked(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row's values by column, without the checksum that they were found to have.

    Raises:
        LedgerError: If they have another one.
    """
    content = dict(row)
    expected = content.pop(COLUMN)
    if checksum(content) != expected:
        where = content.get("trial_id", content.get("name"))
        raise changed(f"the row of {where}")
    return content


def changed(what: str) -> LedgerError:
    """The error for what is not as it was written."""
    return LedgerError(
        f"the ledger must hold what was written, found {what} changed since. "
        "Put back a copy of the ledger; monosweep doctor looks all of it over."
    )


def add_checksums(connection: Connection, tables: Iterable[Table]) -> None:
    """Give every row one, where none had any."""
    for table in tables:
        for row in connection.execute(select(table)).all():
            mine = [key == row._mapping[key.name] for key in table.primary_key]
            value = checksum(row._asdict())
            connection.execute(update(table).where(*mine).values({COLUMN: value}))
