"""What the ledger holds of a sweep as a whole, and of the executions of its cohorts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.errors import SweepDeletingError
from service.ledger import tables
from service.ledger.lease import being_deleted


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What tells where a sweep stands: short, and readable where the rest of it is damaged.

    Attributes:
        name: Its name, unique in the ledger.
        num_trials: Budget of the search; ``resume --num-trials`` raises it.
        failure: Why the sweep could not go on, or None.
        created_at: Seconds since 1970, by the database's clock.
        finished_at: The same, or None while it is not finished.
        deleting_at: The same, or None unless its deletion was begun.
        is_live: Whether a driver is at work on it now.
    """

    name: str
    num_trials: int
    failure: str | None
    created_at: float
    finished_at: float | None
    deleting_at: float | None
    is_live: bool

    @property
    def state(self) -> str:
        """``running``, ``interrupted``, ``finished``, ``failed`` or ``deleting``."""
        if self.deleting_at is not None:
            return "deleting"
        if self.failure is not None:
            return "failed"
        if self.finished_at is not None:
            return "finished"
        return "running" if self.is_live else "interrupted"

    def check_is_kept(self) -> None:
        """Refuse a sweep of which a part may be gone already.

        Raises:
            SweepDeletingError: If its deletion was begun.
        """
        if self.deleting_at is not None:
            raise SweepDeletingError(being_deleted(self.name))


@dataclass(frozen=True, kw_only=True)
class SweepRecord(Outline):
    """All that the ledger holds of a sweep as a whole.

    Attributes:
        spec_text: The sweep file as the user wrote it.
        settings: The sweep file with every default filled in.
        versions: Versions of what changes numbers (monosweep, torch, ...), at creation.
        resolved: What the ``auto`` choices came to; None before the first cohort.
        phase: ``baseline``, ``search``, ``confirmation``, ``report``.
        verdict: The verdict as JSON, once there is one.
        budgets: What became of the search's budgets; see ``closed`` and ``lifted``.
    """

    spec_text: str
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    resolved: Mapping[str, Any] | None
    phase: str
    verdict: Mapping[str, Any] | None
    budgets: Mapping[str, Any] | None

    @property
    def closed(self) -> Mapping[str, Any] | None:
        """Which budget ended the search before its number of trials, or None."""
        return self.budgets["closed"] if self.budgets else None

    @property
    def lifted(self) -> tuple[str, ...]:
        """Budgets that count no more, since the search was extended past them."""
        return tuple(self.budgets["lifted"]) if self.budgets else ()


@dataclass(frozen=True)
class Attempt:
    """One execution of a cohort.

    Attributes:
        cohort_id: The cohort.
        number: Which execution of it this is, from 1.
        worker: Host and process that trained it; None if nobody was told.
        first_step: Steps that the cohort had done when it began; None if nobody was told.
        started_at: When it was handed out, in seconds since 1970 by the database's clock.
        ended_at: The same of its end; None while it is at work.
        outcome: How it ended; None while it is at work.
    """

    cohort_id: str
    number: int
    worker: str | None
    first_step: int | None
    started_at: float
    ended_at: float | None
    outcome: str | None

    @property
    def died(self) -> bool:
        """Whether it ended without results, and not with its driver."""
        return self.outcome not in (None, tables.ABANDONED, tables.RECORDED)

    @property
    def lost_machine(self) -> bool:
        """Whether it died together with its machine."""
        return self.outcome is not None and self.outcome.startswith(tables.MACHINE_LOST)
