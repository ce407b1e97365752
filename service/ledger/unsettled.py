"""What a server has to look after: entries of its queue whose sweeps are not at their end."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from sqlalchemy import Engine, Row, or_, select

from service.ledger import tables
from service.ledger.holder import Holder
from service.ledger.outlines import COLUMNS
from service.ledger.queue import Entry, queue
from service.ledger.records import Outline

_HOLDER = [tables.leases.c[field.name] for field in fields(Holder)]


@dataclass(frozen=True)
class Unsettled:
    """An entry and its sweep, as they were at one moment.

    Attributes:
        entry: The entry.
        record: Its sweep's outline; whether the row is as it was written is for the driver to find
            out.
        lease_until: When the last lease on it runs out, or ran out, in seconds since 1970; None if
            it was given back, or never taken.
        now: The moment, by the same clock.
    """

    entry: Entry
    record: Outline
    lease_until: float | None
    now: float


def unsettled(engine: Engine) -> list[Unsettled]:
    """Entries of unfinished sweeps, and of those to be extended, oldest submission first."""
    query = (
        select(
            queue,
            *COLUMNS,
            *_HOLDER,
            tables.leases.c.expires_at,
        )
        .join(tables.sweeps, tables.sweeps.c.name == queue.c.sweep)
        .outerjoin(tables.leases, tables.leases.c.sweep == queue.c.sweep)
        .where(or_(tables.sweeps.c.finished_at.is_(None), queue.c.num_trials.is_not(None)))
        .order_by(queue.c.submitted_at, queue.c.sweep)
    )
    with engine.connect() as connection:
        # Before the rows: what is written meanwhile must not seem to come from the future.
        now = tables.time_now(connection)
        return [_unsettled(row, now) for row in connection.execute(query)]


def _unsettled(row: Row[tuple[object, ...]], now: float) -> Unsettled:
    found = row._mapping
    until = found[tables.leases.c.expires_at]
    is_live = until is not None and until > now
    if is_live:
        is_live = not Holder(*(found[column] for column in _HOLDER)).is_dead()
    return Unsettled(
        entry=Entry(**{column.name: found[column] for column in queue.c}),
        record=Outline(**{column.name: found[column] for column in COLUMNS}, is_live=is_live),
        lease_until=until,
        now=now,
    )


def with_results_since(engine: Engine, entries: Sequence[Entry]) -> set[str]:
    """Of the entries' sweeps those that have results from after the entry's last start."""
    if not entries:
        return set()
    results = tables.results.c
    since = or_(
        *((results.sweep == one.sweep) & (results.ended_at >= one.started_at) for one in entries)
    )
    with engine.connect() as connection:
        return set(connection.scalars(select(results.sweep).where(since).distinct()))
