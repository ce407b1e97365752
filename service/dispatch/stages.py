"""Where a sweep stands for a server.

That a driver is at work is known by the sweep's lease, which nobody holds who is not, and by Ray's
word before the lease is taken. A start is *open* from the moment it is recorded until it is
recorded what came of it, or somebody wants the sweep anew.
"""

import math
from typing import Literal

from service.dispatch.jobs import JobState
from service.ledger import Outline
from service.ledger.queue import Entry

Stage = Literal[
    "queued",
    "starting",
    "running",
    "stopping",
    "stopped",
    "waiting",
    "finished",
    "failed",
    "deleting",
    "unmanaged",
]


def stage_of(entry: Entry | None, record: Outline, job: JobState | None) -> Stage:
    """Where a sweep stands for a server.

    Args:
        entry: Its entry in the queue, or None if it has none.
        record: The sweep.
        job: Where the entry's job stands; None if that is not known, or there is none. Without it
            a driver is seen from its lease on, and one that was just started counts as starting.
    """
    if record.deleting_at is not None:
        return "deleting"
    if entry is None:
        return "unmanaged"
    if record.finished_at is not None and not extends(entry, record):
        return "finished"
    if record.is_live or is_at_work(job):
        at_work: Stage = "running" if record.is_live else "starting"
        return at_work if entry.is_wanted else "stopping"
    if entry.is_wanted:
        return _stage_of_wanted(entry, record, job)
    return "failed" if record.failure is not None else "stopped"


def _stage_of_wanted(entry: Entry, record: Outline, job: JobState | None) -> Stage:
    """Of one that has no driver at work, as far as is known."""
    if is_given_up(entry):
        return "failed"
    if is_open(entry):
        if job is None:
            return "starting"
        return "failed" if record.failure is not None else "waiting"
    return "waiting" if entry.num_failures else "queued"


def extends(entry: Entry, record: Outline) -> bool:
    """Whether a driver is still to extend the search."""
    return entry.num_trials is not None and entry.num_trials > record.num_trials


def is_at_work(job: JobState | None) -> bool:
    """Whether a job is at work, or about to be."""
    return job is not None and job.status != "ended"


def is_open(entry: Entry) -> bool:
    """Whether it was not yet recorded what came of the last start."""
    return entry.started_at is not None and entry.started_at >= entry.next_start_at


def is_given_up(entry: Entry) -> bool:
    """Whether no further driver is started until somebody wants the sweep again."""
    return entry.is_wanted and math.isinf(entry.next_start_at)
