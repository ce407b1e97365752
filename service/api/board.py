"""Where sweeps stand, read once for however many ask: nobody who looks keeps the ledger busy."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Generic, TypeVar, get_args

from starlette.concurrency import run_in_threadpool

from service import status
from service.dispatch.decisions import SUBMISSION_S
from service.dispatch.job_states import JobStates
from service.dispatch.jobs import Jobs, JobState
from service.dispatch.stages import Stage, extends, stage_of
from service.dispatch.turns import in_turn
from service.errors import AwayError, ClusterAwayError, LedgerError, SweepNotFoundError
from service.ledger import Ledger, Outline, SweepRecord, queue
from service.ledger.outlines import is_there, outlines
from service.ledger.queue import Entry
from service.verdict import Json

logger = logging.getLogger("monosweep")

STAGES: tuple[Stage, ...] = get_args(Stage)
MAX_AGE_S = 1.0
# What takes long to read is read again after as many times that long, at the least.
_SHARE = 5

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Looks(Generic[Key, Value]):
    """What was read a moment ago, and what is being read just now, for all who ask meanwhile.

    For the event loop's thread; reading is done in others.

    Args:
        read: Reads, in a thread.
        max_age_s: How old an answer may be.
        clock: Seconds, from anywhere.
    """

    def __init__(
        self,
        read: Callable[[Key], Value],
        max_age_s: float = MAX_AGE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._max_age_s = max_age_s
        self._clock = clock
        self._tasks: dict[Key, asyncio.Task[Value]] = {}
        self._until: dict[Key, float] = {}

    async def at(self, key: Key) -> Value:
        """What there is, not older than it may be; raises what reading raises."""
        task = self._tasks.get(key)
        if task is None or (task.done() and self._clock() >= self._until.get(key, 0.0)):
            task = asyncio.ensure_future(self._look(key))
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        # Whoever leaves does not take it from the others.
        return await asyncio.shield(task)

    def forget(self, *keys: Key) -> None:
        """Read again, even what is being read now: something was changed."""
        for key in keys:
            self._tasks.pop(key, None)
            self._until.pop(key, None)

    async def _look(self, key: Key) -> Value:
        began = self._clock()
        value = await run_in_threadpool(self._read, key)
        if self._tasks.get(key) is asyncio.current_task():
            took_s = self._clock() - began
            self._until[key] = self._clock() + max(self._max_age_s, _SHARE * took_s)
        return value

    def _ended(self, key: Key, task: asyncio.Task[Value]) -> None:
        if (task.cancelled() or task.exception() is not None) and self._tasks.get(key) is task:
            self.forget(key)


@dataclass(frozen=True)
class Standing:
    """A sweep, and where it stands for the server.

    Attributes:
        record: What the ledger says of it in short.
        entry: Its place in the queue, or None.
        stage: Where it stands.
        position: How many-th it is of those that wait, from 1; None if it does not.
    """

    record: Outline
    entry: Entry | None
    stage: Stage
    position: int | None = None

    @property
    def age(self) -> tuple[float, str]:
        """When it was submitted, or begun without a server, and its name: its place in lists."""
        since = self.entry.submitted_at if self.entry else self.record.created_at
        return since, self.record.name

    def as_json(self) -> Json:
        """What the server adds to a sweep's status."""
        entry = self.entry
        return {
            "stage": self.stage,
            "owner": entry.owner if entry else None,
            "priority": entry.priority if entry else None,
            "submitted_at": entry.submitted_at if entry else None,
            "position": self.position,
            "num_starts": entry.num_starts if entry else 0,
            # An end that was reached has none, whatever the last driver came to.
            "problem": entry.problem if entry and self.stage != "finished" else None,
            "num_trials_wanted": entry.num_trials if entry else None,
        }


class Board:
    """Where every sweep stands, as it was at most a moment ago.

    Args:
        ledger: The open ledger.
        jobs: The drivers' jobs, or None without a cluster.
    """

    def __init__(self, ledger: Ledger, jobs: Jobs | None) -> None:
        self._ledger = ledger
        self._statuses: Looks[str, Json] = Looks(self._status)
        self._rosters: Looks[None, dict[str, Standing]] = Looks(lambda _: self._roster())
        # The clocks here and of the ledger may differ, by less than that.
        self._job_states = JobStates(jobs, 2 * SUBMISSION_S) if jobs is not None else None
        # What was read of each sweep, and when that is still so.
        self._known: dict[str, tuple[Hashable, SweepRecord, Json]] = {}
        # Of which it was said already.
        self._damaged: set[str] = set()

    async def status(self, name: str) -> Json:
        """``monosweep status NAME --json``, and where it stands for the server.

        Raises:
            SweepNotFoundError: If there is none of that name.
        """
        standing = await self.standing(name)
        found = await self._statuses.at(name)
        if found["state"] != standing.record.state:
            # Both are of a moment ago, but not of the same one.
            self._statuses.forget(name)
            found = await self._statuses.at(name)
        return {**found, **standing.as_json()}

    async def statuses(self, names: Sequence[str]) -> list[Json]:
        """The same of several; those that are gone by now, or damaged, are left out.

        Whoever asks for a damaged one alone is told what is wrong with it; here it is logged, once.
        """
        found = await asyncio.gather(*map(self.status, names), return_exceptions=True)
        for name, error in zip(names, found, strict=True):
            if isinstance(error, LedgerError) and not isinstance(error, AwayError):
                if name not in self._damaged:
                    self._damaged.add(name)
                    logger.error("The sweep %s is left out of lists: %s", name, error)
            elif isinstance(error, BaseException) and not isinstance(error, SweepNotFoundError):
                raise error
        return [one for one in found if not isinstance(one, BaseException)]

    async def standing(self, name: str) -> Standing:
        """Where a sweep stands for the server.

        Raises:
            SweepNotFoundError: If there is none of that name.
        """
        roster = await self.roster()
        if name not in roster:
            # Another server on the same ledger may have taken it since.
            if not await run_in_threadpool(is_there, self._ledger.engine, name):
                raise SweepNotFoundError(not_found(name))
            self.forget(name)
            roster = await self.roster()
        if name not in roster:
            raise SweepNotFoundError(not_found(name))
        return roster[name]

    def roster(self) -> Awaitable[dict[str, Standing]]:
        """Every sweep by its name, oldest submission first."""
        return self._rosters.at(None)

    def forget(self, name: str) -> None:
        """A sweep was changed: whoever asks from now on sees it."""
        self._statuses.forget(name)
        self._rosters.forget(None)

    def _status(self, name: str) -> Json:
        """Read in full only where anything was written since: ten thousand trials take seconds."""
        record = self._ledger.sweep(name)
        counts = self._ledger.num_written(name)
        known = self._known.get(name)
        if known is None or known[:2] != (counts, record):
            known = (counts, record, status.status(self._ledger, name))
            self._known[name] = known
        # Told by time as well, with nothing written.
        return {**known[2], "waits_for_worker": status.waits_for_worker(self._ledger, record)}

    def _roster(self) -> dict[str, Standing]:
        entries = {entry.sweep: entry for entry in queue.entries(self._ledger.engine)}
        records = outlines(self._ledger.engine)
        states = self._states(
            [
                entries[record.name]
                for record in records
                if record.name in entries and _is_told_by_its_job(entries[record.name], record)
            ]
        )
        found = [
            Standing(record, entry, stage_of(entry, record, states.get(record.name)))
            for record in records
            for entry in [entries.get(record.name)]
        ]
        names = {record.name for record in records}
        for gone in set(self._known) - names:
            self._known.pop(gone, None)
        self._damaged &= names
        return _with_positions(sorted(found, key=lambda one: one.age))

    def _states(self, entries: Sequence[Entry]) -> dict[str, JobState | None]:
        """What the cluster says of the drivers of sweeps, by their names, as far as it answers."""
        if self._job_states is None:
            return {}
        now = time.time()
        names = {entry.job_id: entry.sweep for entry in entries if entry.job_id is not None}
        ages_s = {
            entry.job_id: now - (entry.started_at or 0.0)
            for entry in entries
            if entry.job_id is not None
        }
        states: dict[str, JobState | None] = {}
        with suppress(ClusterAwayError):
            for job_id, state in self._job_states.each(ages_s):
                states[names[job_id]] = state
        return states


def not_found(name: str) -> str:
    """What is said of a sweep that is not there."""
    return (
        f"there must be a sweep named {name!r} on this server, found none. See those that there "
        "are: GET /v1/sweeps"
    )


def _is_told_by_its_job(entry: Entry, record: Outline) -> bool:
    """Whether the ledger alone does not tell where it stands."""
    is_unfinished = record.finished_at is None or extends(entry, record)
    return entry.job_id is not None and is_unfinished and not record.is_live


def _with_positions(found: list[Standing]) -> dict[str, Standing]:
    queued = [one.entry for one in found if one.stage == "queued" and one.entry is not None]
    at_work = [
        one.entry
        for one in found
        if one.stage in ("starting", "running", "stopping") and one.entry is not None
    ]
    places = {entry.sweep: place for place, entry in enumerate(in_turn(queued, at_work), 1)}
    return {one.record.name: replace(one, position=places.get(one.record.name)) for one in found}
