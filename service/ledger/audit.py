"""Who asked a server for what, what came of it, and whose tokens came and went.

Rows are only ever added.
"""

from dataclasses import dataclass

from sqlalchemy import Column, Connection, Engine, Float, Integer, String, Table, insert, select

from service.ledger import tables

audit = Table(
    "monosweep_audit",
    tables.metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("who", String(64)),
    Column("role", String(16)),
    Column("client", String(64)),
    Column("action", String(64), nullable=False),
    # No foreign key: what was done to a sweep outlives it.
    Column("sweep", String(64)),
    Column("status", Integer, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class Deed:
    """One thing that was asked for.

    Attributes:
        who: The token's name; None without a good token.
        role: Its role; None likewise.
        client: The address that asked; ``command line`` where none did.
        action: What for: ``submit``, ``stop``, ...
        sweep: The sweep, or None.
        status: The answer's HTTP status.
        at: Seconds since 1970, by the database's clock; given when it is recorded.
    """

    who: str | None
    role: str | None
    client: str | None
    action: str
    sweep: str | None
    status: int
    at: float = 0.0


def deed_of_command(action: str) -> Deed:
    """What somebody did at a command line where the ledger's URL is: no token says who."""
    return Deed(
        who=None, role=None, client="command line", action=action[:64], sweep=None, status=200
    )


def record(engine: Engine, deed: Deed) -> None:
    """Add a deed, with the time it is by the database's clock."""
    with tables.writing(engine) as connection:
        add(connection, deed)


def add(connection: Connection, deed: Deed) -> None:
    """The same inside a transaction that writes: the deed is in the audit, or is not done."""
    at = tables.time_now(connection)
    connection.execute(insert(audit).values({**vars(deed), "at": at}))


def deeds(engine: Engine, limit: int = 100) -> list[Deed]:
    """The newest first, at most so many."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    with engine.connect() as connection:
        rows = connection.execute(query)
        return [Deed(**{k: v for k, v in row._mapping.items() if k != "id"}) for row in rows]
