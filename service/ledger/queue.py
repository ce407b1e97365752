"""The queue of a server: which sweeps it is to drive, for whom, and how that went so far.

A server keeps nothing of its own beside this and ``tokens`` and ``audit``: whoever starts another
one on the same ledger goes on where it left. A sweep that somebody runs without a server has no
entry here.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.elements import ColumnElement

from service.errors import KeyReusedError, SweepExistsError
from service.ledger import sweep_row, tables
from service.ledger.sweep_row import NewSweep

queue = Table(
    "monosweep_queue",
    tables.metadata,
    Column("sweep", ForeignKey("monosweep_sweeps.name", ondelete="CASCADE"), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("idempotency_key", String(128)),
    Column("submitted_at", Float, nullable=False),
    Column("is_wanted", Boolean, nullable=False),
    Column("num_trials", Integer),
    Column("job_id", String(128)),
    Column("started_at", Float),
    Column("num_starts", Integer, nullable=False),
    Column("num_failures", Integer, nullable=False),
    Column("num_refusals", Integer, nullable=False, server_default="0"),
    Column("next_start_at", Float, nullable=False),
    Column("problem", Text),
    UniqueConstraint("owner", "idempotency_key"),
)


# What begins again where a sweep is wanted anew.
_FRESH_AGAIN = ("submitted_at", "next_start_at", "num_failures", "num_refusals")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A sweep that a server is to drive. All times in seconds since 1970, by the database's clock.

    Attributes:
        sweep: The sweep.
        owner: Who submitted it: the name of a token.
        priority: Of entries that wait, the highest goes first.
        idempotency_key: What its owner called the submission, or None.
        submitted_at: When it was submitted, or asked for again.
        is_wanted: Whether it is to be driven; False once somebody stopped it.
        num_trials: The search's budget that a driver is to extend it to, or None.
        job_id: The Ray job of the driver that was started last, or None.
        started_at: When that was, or None.
        num_starts: How many drivers were ever started.
        num_failures: How many of the last ones, in a row, came to nothing.
        num_refusals: How many of the last ones, in a row, ended of themselves and said that they
            cannot do this.
        next_start_at: Before this no further one is started.
        problem: Why the last one came to nothing, in words for people, or None.
    """

    sweep: str
    owner: str
    priority: int
    idempotency_key: str | None
    submitted_at: float
    is_wanted: bool
    num_trials: int | None
    job_id: str | None
    started_at: float | None
    num_starts: int
    num_failures: int
    num_refusals: int
    next_start_at: float
    problem: str | None


def submit(
    engine: Engine, new: NewSweep, *, owner: str, priority: int = 0, key: str | None = None
) -> bool:
    """Record a new sweep and that it is to be driven, in one transaction.

    Args:
        engine: The ledger's database.
        new: The sweep.
        owner: Who submits it.
        priority: Of entries that wait, the highest goes first.
        key: The same key of the same owner means the same submission, however often it is sent.

    Returns:
        Whether it is new; False if the same submission was recorded before.

    Raises:
        KeyReusedError: If the owner used the key for another sweep.
        SweepExistsError: If the name is taken.
    """
    try:
        with tables.writing(engine) as connection:
            if _is_known(connection, new, owner, key):
                return False
            sweep_row.create(connection, new)
            connection.execute(
                insert(queue).values(
                    sweep=new.name, idempotency_key=key, **_fresh(connection, owner, priority)
                )
            )
    except IntegrityError as error:
        # Somebody was quicker: perhaps the same submission, sent twice.
        with engine.connect() as connection:
            if _is_known(connection, new, owner, key):
                return False
        raise SweepExistsError(
            f"a sweep's name must be its own, found one named {new.name!r} in the ledger already. "
            "Submit this one under another name: --name"
        ) from error
    return True


def _is_known(connection: Connection, new: NewSweep, owner: str, key: str | None) -> bool:
    if key is None:
        return False
    row = connection.execute(
        select(queue.c.sweep, tables.sweeps.c.spec_text)
        .join(tables.sweeps, tables.sweeps.c.name == queue.c.sweep)
        .where(queue.c.owner == owner, queue.c.idempotency_key == key)
    ).one_or_none()
    if row is None:
        return False
    if row.sweep != new.name or row.spec_text != new.spec_text:
        raise KeyReusedError(
            f"an idempotency key must stand for one submission, found {key!r} used for the sweep "
            f"{row.sweep!r} before. Take another key for this one."
        )
    return True


def want(
    engine: Engine, sweep: str, *, owner: str, priority: int = 0, num_trials: int | None = None
) -> None:
    """Have a sweep driven (again), from the end of the queue; its owner and priority stay.

    Args:
        engine: The ledger's database.
        sweep: A sweep of the ledger.
        owner: Whose it becomes if it was never submitted.
        priority: Its priority in that case.
        num_trials: A larger budget of the search, or None to leave it.

    Raises:
        SweepNotFoundError: If there is none of that name any more.
    """
    with tables.writing(engine) as connection:
        fresh = _fresh(connection, owner, priority)
        changed = connection.execute(
            update(queue)
            .where(queue.c.sweep == sweep)
            .values(
                is_wanted=True,
                num_trials=num_trials if num_trials is not None else queue.c.num_trials,
                **{k: fresh[k] for k in _FRESH_AGAIN},
                problem=None,
            )
        )
        if not changed.rowcount:
            sweep_row.check_exists(connection, sweep)
            connection.execute(insert(queue).values(sweep=sweep, **fresh, num_trials=num_trials))


def stop(engine: Engine, sweep: str) -> None:
    """Have a sweep driven no more, until it is wanted again; nothing if it has no entry."""
    with tables.writing(engine) as connection:
        connection.execute(update(queue).where(queue.c.sweep == sweep).values(is_wanted=False))


def entries(engine: Engine) -> list[Entry]:
    """All entries, oldest submission first."""
    with engine.connect() as connection:
        rows = connection.execute(select(queue).order_by(queue.c.submitted_at, queue.c.sweep))
        return [Entry(**row._mapping) for row in rows]


def entry(engine: Engine, sweep: str) -> Entry | None:
    """A sweep's entry, or None if it has none."""
    with engine.connect() as connection:
        row = connection.execute(select(queue).where(queue.c.sweep == sweep)).one_or_none()
    return Entry(**row._mapping) if row is not None else None


def record_start(engine: Engine, seen: Entry, job_id: str) -> bool:
    """Record that a driver is being started, before it is; False if somebody else was quicker.

    Quicker to start one, or to have the sweep stopped.

    Args:
        engine: The ledger's database.
        seen: The entry as it was when that was decided.
        job_id: Ray's id of the job that will be submitted.
    """
    return _change(
        engine,
        seen,
        queue.c.is_wanted,
        job_id=job_id,
        started_at=tables.now,
        num_starts=seen.num_starts + 1,
    )


def record_failure(
    engine: Engine, seen: Entry, problem: str, pause_s: float, *, num_refusals: int = 0
) -> bool:
    """Record that the driver that was started last came to nothing; False if that is outdated.

    Args:
        engine: The ledger's database.
        seen: The entry as it was when that was decided.
        problem: Why, in words for people.
        pause_s: How long no further one is to be started; infinite for none until somebody wants
            the sweep anew.
        num_refusals: How many refused in a row, this one included.
    """
    return _change(
        engine,
        seen,
        num_failures=seen.num_failures + 1,
        num_refusals=num_refusals,
        problem=problem,
        next_start_at=lambda connection: tables.now(connection) + pause_s,
    )


def record_success(engine: Engine, seen: Entry) -> bool:
    """Record that the driver that was started last is, or was, at work; False if outdated."""
    return _change(engine, seen, num_failures=0, num_refusals=0, problem=None)


def take_extension(connection: Connection, sweep: str, num_trials: int) -> None:
    """Ask no more for a budget that the sweep has, in the transaction that gives it.

    A server that looked only later could find the search closed with fewer trials by a budget of
    another kind, and would have it extended once more.
    """
    connection.execute(
        update(queue)
        .where(queue.c.sweep == sweep, queue.c.num_trials <= num_trials)
        .values(num_trials=None)
    )


def _change(engine: Engine, seen: Entry, *conditions: ColumnElement[bool], **values: Any) -> bool:
    """Change an entry, unless a start or another submission was recorded since it was looked at."""
    with tables.writing(engine) as connection:
        changed = connection.execute(
            update(queue)
            .where(
                queue.c.sweep == seen.sweep,
                queue.c.num_starts == seen.num_starts,
                queue.c.submitted_at == seen.submitted_at,
                *conditions,
            )
            .values({k: v(connection) if callable(v) else v for k, v in values.items()})
        )
    return changed.rowcount == 1


def _fresh(connection: Connection, owner: str, priority: int) -> dict[str, Any]:
    at = tables.time_now(connection)
    known = {"owner": owner, "priority": priority, "submitted_at": at, "next_start_at": at}
    return {**known, "is_wanted": True, "num_starts": 0, "num_failures": 0, "num_refusals": 0}
