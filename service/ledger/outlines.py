"""Where sweeps stand: the few columns that tell it, however long and however damaged the others."""

from dataclasses import fields

from sqlalchemy import Engine, exists, select

from service.ledger import tables
from service.ledger.lease import live_sweeps
from service.ledger.records import Outline

# Whether a sweep is live is told by its lease.
COLUMNS = [tables.sweeps.c[field.name] for field in fields(Outline) if field.name != "is_live"]


def outlines(engine: Engine) -> list[Outline]:
    """Of every sweep, oldest first; that a row is as it was written is for its readers to check."""
    with engine.connect() as connection:
        # First: who finishes in between is finished, and not interrupted for a moment.
        live = live_sweeps(connection)
        rows = connection.execute(select(*COLUMNS).order_by(tables.sweeps.c.created_at))
        return [Outline(**row._mapping, is_live=row.name in live) for row in rows]


def is_there(engine: Engine, name: str) -> bool:
    """Whether there is a sweep of that name, however it is."""
    with engine.connect() as connection:
        return bool(connection.scalar(select(exists().where(tables.sweeps.c.name == name))))
