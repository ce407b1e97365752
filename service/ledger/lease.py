"""The lease: at most one live driver writes to a sweep.

The holder is named by host, boot, process and the process's start, so that a dead one on the same
host is known to be dead at once; on another host only the expiry, by the database's clock, tells,
and whether the holder pushes it out again.
Every write reads the lease's row in its own transaction, so a driver that lost the sweep cannot
write, however long it slept.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from uuid import uuid4

from sqlalchemy import Connection, Engine, case, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.elements import ColumnElement

from service.errors import (
    LeaseHeldError,
    LeaseLostError,
    LedgerAwayError,
    LedgerError,
    SweepDeletingError,
)
from service.ledger.holder import Holder
from service.ledger.tables import ABANDONED, attempts, leases, now, sweeps, writing

DURATION_S = 30.0
RENEWAL_S = 5.0
LOOK_S = 1.0

logger = logging.getLogger("monosweep")


@dataclass(frozen=True)
class Lease:
    """The right to write to one sweep, as long as ``token`` is the one in the ledger."""

    sweep: str
    token: str

    def check(self, connection: Connection) -> None:
        """Make sure, inside the transaction that writes, that the sweep is still ours.

        Locks the row where the database can, so that nobody takes over before the commit.

        Raises:
            LeaseLostError: If another driver has taken the sweep.
        """
        token = connection.scalar(
            select(leases.c.token).where(leases.c.sweep == self.sweep).with_for_update(read=True)
        )
        if token != self.token:
            raise LeaseLostError(
                f"another driver has taken the sweep {self.sweep!r}: this one writes no more. "
                f"See it with: monosweep status {self.sweep}"
            )


@dataclass(frozen=True)
class _Held:
    """A lease that still runs, and whose holder is not known to be dead."""

    holder: Holder
    expires_at: float
    left_s: float


def take(
    engine: Engine,
    sweep: str,
    pause: Callable[[float], object] = time.sleep,
    *,
    waits: bool = True,
    to_delete: bool = False,
) -> Lease:
    """Take the sweep for this process.

    A holder on another host is waited for until its lease has run out, or is seen to be renewed.

    Args:
        engine: The ledger's database.
        sweep: The sweep's name.
        pause: Waits so many seconds; may raise to give up.
        waits: Wait for a holder of whom nothing is known; otherwise it counts as a live one.
        to_delete: Take it also if its deletion was begun.

    Raises:
        LeaseHeldError: If a live driver has it.
        SweepDeletingError: If it is being deleted, and is not taken for that.
    """
    lease = Lease(sweep, uuid4().hex)
    first = found = _try_to_take(engine, lease, to_delete=to_delete)
    while first is not None and found is not None:
        if not waits or found.holder.is_visible or found.expires_at != first.expires_at:
            raise _at_work(sweep, found)
        if found is first:
            logger.warning(
                "The last driver of %s, process %d on %s, gave no sign of its end: its lease is "
                "waited for (%.0f s).",
                sweep,
                found.holder.pid,
                found.holder.host,
                found.left_s,
            )
        pause(min(LOOK_S, found.left_s))
        found = _try_to_take(engine, lease, to_delete=to_delete)
    return lease


def _try_to_take(engine: Engine, lease: Lease, *, to_delete: bool) -> _Held | None:
    """None if it is taken."""
    try:
        with writing(engine) as connection:
            row = connection.execute(
                select(leases, now(connection).label("now"))
                .where(leases.c.sweep == lease.sweep)
                .with_for_update()
            ).one_or_none()
            if row is not None:
                holder = Holder(row.host, row.boot_id, row.pid, row.process_start)
                if row.expires_at > row.now and not holder.is_dead():
                    return _Held(holder, row.expires_at, row.expires_at - row.now)
            if not to_delete:
                _check_is_kept(connection, lease.sweep)
            if row is not None:
                # When it was last renewed: nobody knows how much longer its driver lived.
                _end_attempts(connection, lease.sweep, row.expires_at - DURATION_S)
                connection.execute(delete(leases).where(leases.c.token == row.token))
            connection.execute(
                insert(leases).values(
                    sweep=lease.sweep,
                    token=lease.token,
                    expires_at=now(connection) + DURATION_S,
                    **asdict(Holder.here()),
                )
            )
    except IntegrityError as error:
        raise LeaseHeldError(
            f"the sweep {lease.sweep!r} was taken by another driver just now. "
            f"See it with: monosweep status {lease.sweep}"
        ) from error
    return None


def _end_attempts(connection: Connection, sweep: str, at: float | ColumnElement[float]) -> None:
    """End the attempts that a driver leaves at work with the moment in which it was last there.

    Time in which nobody was at work must not count as theirs.
    """
    connection.execute(
        update(attempts)
        .where(attempts.c.sweep == sweep, attempts.c.ended_at.is_(None))
        .values(
            ended_at=case((attempts.c.started_at > at, attempts.c.started_at), else_=at),
            outcome=ABANDONED,
        )
    )


def _check_is_kept(connection: Connection, sweep: str) -> None:
    """Refuse a sweep whose deletion was begun; a lock keeps it from being begun meanwhile."""
    deleting_at = connection.scalar(
        select(sweeps.c.deleting_at).where(sweeps.c.name == sweep).with_for_update(read=True)
    )
    if deleting_at is not None:
        raise SweepDeletingError(being_deleted(sweep))


def being_deleted(sweep: str) -> str:
    """What is said of a sweep whose deletion was begun."""
    return (
        f"the sweep {sweep!r} is being deleted. Delete it to the end with: monosweep delete {sweep}"
    )


def _at_work(sweep: str, held: _Held) -> LeaseHeldError:
    return LeaseHeldError(
        f"the sweep {sweep!r} must have one driver only, found process {held.holder.pid} on "
        f"{held.holder.host} at work, with a lease for another {held.left_s:.0f} s. "
        f"Follow it: monosweep watch {sweep}; have it leave: monosweep stop {sweep}"
    )


def live_holder(connection: Connection, sweep: str) -> Holder | None:
    """The driver that is at work on the sweep, or None."""
    row = connection.execute(
        select(leases, now(connection).label("now")).where(leases.c.sweep == sweep)
    ).one_or_none()
    if row is None or row.expires_at <= row.now:
        return None
    holder = Holder(row.host, row.boot_id, row.pid, row.process_start)
    return None if holder.is_dead() else holder


def live_sweeps(connection: Connection) -> frozenset[str]:
    """All sweeps that drivers are at work on, by one query however many sweeps there are."""
    rows = connection.execute(select(leases).where(leases.c.expires_at > now(connection)))
    return frozenset(
        row.sweep
        for row in rows
        if not Holder(row.host, row.boot_id, row.pid, row.process_start).is_dead()
    )


def is_live(connection: Connection, sweep: str) -> bool:
    """Whether a driver is at work on the sweep."""
    return live_holder(connection, sweep) is not None


def renew(engine: Engine, lease: Lease) -> bool:
    """Push the expiry out again; False if the lease was lost."""
    with writing(engine) as connection:
        renewed = connection.execute(
            update(leases)
            .where(leases.c.sweep == lease.sweep, leases.c.token == lease.token)
            .values(expires_at=now(connection) + DURATION_S)
        )
    return renewed.rowcount == 1


def release(engine: Engine, lease: Lease) -> None:
    """Give the sweep back, if it is still ours."""
    with writing(engine) as connection:
        released = connection.execute(delete(leases).where(leases.c.token == lease.token))
        if released.rowcount:
            _end_attempts(connection, lease.sweep, now(connection))


class Renewal:
    """Renews a lease in the background while the driver works.

    One thread, started on entry and joined on exit. A database that is away is tried again: the
    lease stays ours until somebody takes it.

    Args:
        engine: The ledger's database.
        lease: The lease.
        lost: Called, in that thread, when somebody has, or the ledger cannot be read any more.
    """

    def __init__(self, engine: Engine, lease: Lease, lost: Callable[[], None]) -> None:
        self._engine = engine
        self._lease = lease
        self._lost = lost
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_stopped, name="lease", daemon=True)

    def __enter__(self) -> "Renewal":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _renew_until_stopped(self) -> None:
        while not self._stop.wait(RENEWAL_S):
            try:
                if not renew(self._engine, self._lease):
                    self._lost()
                    return
            except LedgerAwayError:
                continue
            except LedgerError:
                # The driver's own next look at it says what is the matter.
                self._lost()
                return


def _nothing() -> None:
    """For those who find a lost lease at their next write."""


@contextmanager
def held(
    engine: Engine,
    sweep: str,
    *,
    pause: Callable[[float], object] = time.sleep,
    lost: Callable[[], None] = _nothing,
    waits: bool = True,
    to_delete: bool = False,
) -> Iterator[Lease]:
    """Hold a sweep, renewed, for as long as the block takes.

    Args:
        engine: The ledger's database.
        sweep: The sweep's name.
        pause: As for ``take``.
        lost: As for ``Renewal``.
        waits: As for ``take``.
        to_delete: As for ``take``.

    Raises:
        LeaseHeldError: As ``take``.
        SweepDeletingError: As ``take``.
    """
    lease = take(engine, sweep, pause, waits=waits, to_delete=to_delete)
    try:
        with Renewal(engine, lease, lost):
            yield lease
    finally:
        # Otherwise it runs out, or is taken from a process that is known to be gone.
        with suppress(LedgerAwayError):
            release(engine, lease)
