"""The loop that makes what runs on the cluster what the queue says.

It remembers nothing that it could not find out again: whoever starts another one on the same ledger
goes on where this one left. Several may run beside each other. None starts a second driver of a
sweep that another one starts at the same moment, since the start is recorded first, by one of them;
but each may then take the last free place for another sweep.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isinf
from types import TracebackType
from typing import Self
from uuid import uuid4

from service.dispatch.decisions import SUBMISSION_S, Case, decide, failure_of
from service.dispatch.job_states import JobStates
from service.dispatch.jobs import Jobs, JobState
from service.dispatch.stages import extends
from service.errors import (
    ClusterAwayError,
    ClusterTroubleError,
    LedgerAwayError,
    LedgerError,
    ReconcilerError,
)
from service.ledger import Ledger, queue
from service.ledger.queue import Entry
from service.ledger.text import kept_text
from service.ledger.unsettled import Unsettled, unsettled, with_results_since
from service.outages import Outage

INTERVAL_S = 2.0
# After so long at work, what went wrong before counts no more, also where cohorts take for ever.
WORKED_S = 600.0
# Where it is, and what it said, is told by the log, not by what everybody may read.
NOT_TAKEN = "the Ray cluster did not take its driver. The server's log says why."

logger = logging.getLogger("monosweep")


class Reconciler:
    """Starts, stops and starts again the drivers of a ledger's queue.

    As a context manager it does so in a thread of its own until left, which leaves drivers that are
    at work alone. ``reconcile`` is for one thread at a time.

    Args:
        ledger: The open ledger; closed by whoever opened it.
        jobs: The cluster's jobs.
        max_sweeps: How many sweeps may have a driver at once.
        interval_s: Seconds between two looks, unless somebody wakes it.
    """

    def __init__(
        self, ledger: Ledger, jobs: Jobs, *, max_sweeps: int, interval_s: float = INTERVAL_S
    ) -> None:
        self._engine = ledger.engine
        self._jobs = jobs
        self._max_sweeps = max_sweeps
        self._interval_s = interval_s
        self._ledger_outage, self._cluster_outage = Outage(), Outage()
        # Of which it was said already.
        self._not_stopped: set[str] = set()
        self._job_states = JobStates(jobs, answered=self._cluster_outage.is_over)
        self._woken, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self.run, name="reconciler", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """End the thread.

        Raises:
            ReconcilerError: If it had ended before it was told to.
        """
        has_died = not (self.is_at_work or self._closed.is_set())
        self.close()
        self._thread.join()
        if has_died:
            raise ReconcilerError(
                "the queue must be looked after while the server runs, found that this came to an "
                "end by the error above. Start the server again; drivers that are at work go on."
            )

    @property
    def is_at_work(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """Have the queue looked at now, since it has changed; from any thread."""
        self._woken.set()

    def close(self) -> None:
        """Let ``run`` return; from any thread."""
        self._closed.set()
        self._woken.set()

    def run(self) -> None:
        """Reconcile until closed, whatever is away meanwhile."""
        while not self._closed.is_set():
            self._woken.clear()
            try:
                self.reconcile()
            except LedgerError as error:
                # Also what it refuses, or is damaged: an admin may mend it while we wait.
                away = error if isinstance(error, LedgerAwayError) else LedgerAwayError(str(error))
                self._ledger_outage.met(away, "No driver is started or stopped until it answers.")
            else:
                self._ledger_outage.is_over()
            # Closed since it was looked at: woken for that.
            self._woken.wait(self._interval_s)

    def reconcile(self) -> None:
        """Look once, and do what is to be done.

        Raises:
            LedgerError: If the ledger cannot be read or written.
            LedgerAwayError: If it does not answer; what was done by then is recorded, and the next
                look goes on from it.
        """
        before = unsettled(self._engine)
        self._settle_what_went_well(before)
        try:
            # Before the ledger is read again: what a job wrote that has ended by then is all there.
            states = self._states(before)
            found = unsettled(self._engine)
            self._direct([Case(one, states.get(one.entry.job_id or "")) for one in found])
        except ClusterAwayError as error:
            self._cluster_outage.met(error, "Drivers are started and stopped when it answers.")

    def _states(self, found: Sequence[Unsettled]) -> Mapping[str, JobState | None]:
        """Where the entries' jobs stand, by their ids."""
        ages_s = {
            one.entry.job_id: one.now - (one.entry.started_at or one.now)
            for one in found
            if one.entry.job_id is not None
        }
        return dict(self._job_states.each(ages_s))

    def _settle_what_went_well(self, found: Sequence[Unsettled]) -> None:
        troubled = [one for one in found if one.record.is_live and one.entry.problem is not None]
        with_results = with_results_since(self._engine, [one.entry for one in troubled])
        for one in troubled:
            worked_s = one.now - (one.entry.started_at or one.now)
            # What was no failure of a driver's is over as soon as there is one.
            is_over = not one.entry.num_failures or worked_s >= WORKED_S
            if is_over or one.entry.sweep in with_results:
                queue.record_success(self._engine, one.entry)

    def _direct(self, cases: Sequence[Case]) -> None:
        decisions = decide(cases, self._max_sweeps)
        self._settle_failures(decisions.settle)
        self._stop([case.entry for case in decisions.stop])
        for entry in decisions.start:
            one = next(case.known for case in cases if case.entry is entry)
            self._start(one)

    def _stop(self, entries: Sequence[Entry]) -> None:
        """Ask drivers to end; trouble with one is told once, and holds up no other."""
        untold: set[str] = set()
        for entry in entries:
            try:
                self._jobs.stop(entry.job_id or "")
            except ClusterTroubleError as error:
                if entry.sweep not in self._not_stopped:
                    logger.warning("The driver of %s is not stopped: %s", entry.sweep, error)
                untold.add(entry.sweep)
        self._not_stopped = untold

    def _settle_failures(self, cases: Sequence[Case]) -> None:
        with_results = with_results_since(self._engine, [case.entry for case in cases])
        for case in cases:
            entry = case.entry
            failure = failure_of(case, has_results=entry.sweep in with_results)
            seen = replace(entry, num_failures=failure.num_before)
            problem = kept_text(failure.problem)
            if queue.record_failure(
                self._engine, seen, problem, failure.pause_s, num_refusals=failure.num_refusals
            ):
                logger.warning(
                    "The driver of %s came to nothing: %s %s",
                    entry.sweep,
                    problem,
                    "None is started until somebody resumes it."
                    if isinf(failure.pause_s)
                    else f"The next one is started in {failure.pause_s:g} s.",
                )

    def _start(self, one: Unsettled) -> None:
        """Start a driver, unless somebody else was quicker.

        Raises:
            ClusterAwayError: If the cluster does not take it now, which is no failure of it.
        """
        entry = one.entry
        # A sweep of the same name may have been deleted, whose jobs Ray still knows.
        job_id = f"monosweep-{entry.sweep}-{entry.num_starts + 1}-{uuid4().hex[:8]}"
        if not queue.record_start(self._engine, entry, job_id):
            return
        try:
            self._jobs.submit(job_id, _words(one))
        except ClusterAwayError:
            # It may have been taken all the same, or be on its way still: its id is kept, and the
            # job looked for as long as it may come. A second one would be refused the lease, and
            # hide the first from who wants it stopped. The count of failures stays.
            seen = replace(
                entry, num_starts=entry.num_starts + 1, num_failures=entry.num_failures - 1
            )
            queue.record_failure(
                self._engine,
                seen,
                NOT_TAKEN,
                SUBMISSION_S,
                num_refusals=entry.num_refusals,
            )
            raise
        self._cluster_outage.is_over()


def _words(one: Unsettled) -> list[str]:
    extension = (
        ["--num-trials", str(one.entry.num_trials)] if extends(one.entry, one.record) else []
    )
    return ["resume", one.entry.sweep, "--address", "auto", *extension]
