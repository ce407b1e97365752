"""What is to be done for a queue now; nothing is done here."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.dispatch.jobs import JobState
from service.dispatch.stages import extends, is_at_work, is_open
from service.dispatch.turns import next_starts, num_refusals, pause_s
from service.errors import SweepFailedError
from service.ledger.queue import Entry
from service.ledger.unsettled import Unsettled

# How long it may take from the record of a start until Ray knows the job: another server may be
# about to submit it.
SUBMISSION_S = 30.0
# A driver has its lease in seconds, or waits half a minute for one that may be dead.
SILENCE_S = 300.0
LOST = "its driver was lost with the head of the cluster, which knows nothing of it any more."
TOO_EARLY = "its driver ended before the sweep did."


@dataclass(frozen=True)
class Case:
    """A sweep that is not settled, and the job of the driver that was started last for it.

    Attributes:
        known: What the ledger says.
        job: What the cluster says; None if it knows of no such job, or none was ever started.
    """

    known: Unsettled
    job: JobState | None

    @property
    def entry(self) -> Entry:
        """Its entry in the queue."""
        return self.known.entry

    @property
    def has_driver(self) -> bool:
        """Whether a driver is at work, may be in a moment, or could be for all that is known.

        One that the cluster has lost, or that is cut off from it, is at work until its lease is
        over.
        """
        is_coming = self.job is None and is_open(self.entry) and self._age_s < SUBMISSION_S
        return self.known.record.is_live or is_at_work(self.job) or is_coming

    @property
    def is_to_stop(self) -> bool:
        """Whether a job is at work that is not wanted, or long holds no lease."""
        if not is_at_work(self.job):
            return False
        known = self.known
        unseen_s = min(self._age_s, known.now - (known.lease_until or 0.0))
        is_silent = not known.record.is_live and unseen_s > SILENCE_S
        return not self.entry.is_wanted or is_silent

    @property
    def came_to_nothing(self) -> bool:
        """Whether the last driver is gone, although the sweep is wanted and has an end to reach."""
        return (
            self.entry.is_wanted
            and is_open(self.entry)
            and self._has_work_left
            and not self.has_driver
        )

    @property
    def is_due(self) -> bool:
        """Whether a driver is to be started, as soon as it is the sweep's turn."""
        entry = self.entry
        return (
            entry.is_wanted
            and not is_open(entry)
            and entry.next_start_at <= self.known.now
            and self._has_work_left
            and not self.has_driver
        )

    @property
    def _age_s(self) -> float:
        """Seconds since the last start."""
        return self.known.now - (self.entry.started_at or 0.0)

    @property
    def _has_work_left(self) -> bool:
        record = self.known.record
        is_finished = record.finished_at is not None and not extends(self.entry, record)
        return record.deleting_at is None and not is_finished


@dataclass(frozen=True)
class Decisions:
    """What is to be done.

    Attributes:
        stop: Whose jobs are to be stopped.
        settle: Of whom it is to be recorded that the last driver came to nothing.
        start: For whom a driver is to be started, in this order.
    """

    stop: Sequence[Case]
    settle: Sequence[Case]
    start: Sequence[Entry]


def decide(cases: Sequence[Case], max_sweeps: int) -> Decisions:
    """What is to be done now.

    Args:
        cases: All that is not settled.
        max_sweeps: How many sweeps may have a driver at once.
    """
    at_work = [case.entry for case in cases if case.has_driver]
    due = [case.entry for case in cases if case.is_due]
    return Decisions(
        stop=[case for case in cases if case.is_to_stop],
        settle=[case for case in cases if case.came_to_nothing],
        start=next_starts(due, at_work, max_sweeps),
    )


@dataclass(frozen=True)
class Failure:
    """How a driver came to nothing.

    Attributes:
        num_before: How many did before it, in a row.
        problem: Why, in words for people.
        pause_s: How long no further one is started; infinite for none until it is wanted anew.
        num_refusals: How many refused in a row, this one included.
    """

    num_before: int
    problem: str
    pause_s: float
    num_refusals: int = 0


def failure_of(case: Case, *, has_results: bool) -> Failure:
    """How the last driver of a case came to nothing.

    Args:
        case: One that ``came_to_nothing``.
        has_results: Whether it got results, so that whatever was before counts no more.
    """
    num_before = 0 if has_results else case.entry.num_failures
    job, failure = case.job, case.known.record.failure
    if job is None:
        return Failure(num_before, LOST, pause_s(num_before, 0))
    if failure is not None and job.exit_code == SweepFailedError.exit_code:
        return Failure(num_before, failure, float("inf"))
    is_early = job.exit_code == 0 or job.message is None
    problem = TOO_EARLY if is_early else str(job.message)
    refusals = num_refusals(0 if has_results else case.entry.num_refusals, job.exit_code)
    return Failure(num_before, problem, pause_s(num_before, refusals), refusals)
