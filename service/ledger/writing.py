"""Writing to one sweep under its lease, checked in the same transaction as every write."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from optuna.distributions import BaseDistribution
from sqlalchemy import Connection

from service.ledger import attempts, queue, sweep_row, tables, trial_rows
from service.ledger.asked import told
from service.ledger.lease import Lease
from service.ledger.reading import Ledger
from service.ledger.records import Attempt
from service.ledger.studies import Studies, open_storage
from service.ledger.text import kept_text
from service.trials import EarlierTrial, Phase, Point, Result, Told


class Writer:
    """The pen of the driver that holds a sweep's lease.

    Not for several threads at once, but for the projection's own column
    (``record_mlflow_run``), which any thread may write. Whatever ends with ``LedgerAwayError`` can
    be asked again, also where it was done and only not heard of: replaying changes nothing, but for
    an attempt that was begun and not heard of, which the next one ends.

    Args:
        ledger: The open ledger.
        lease: The lease of the sweep to write to.
    """

    def __init__(self, ledger: Ledger, lease: Lease) -> None:
        self.ledger = ledger
        self.sweep = lease.sweep
        self._lease = lease
        # A storage of the writer's own: the ledger's is for reading, with or without the lease.
        self._storage = open_storage(ledger.url, always_writes=True)
        self._studies = Studies(self._storage, lease.sweep)
        self._studies.guard(lease)

    def close(self) -> None:
        """Close the writer's own connections."""
        self._storage.engine.dispose()

    def check_lease(self) -> None:
        """Make sure that the sweep is still ours.

        Raises:
            LeaseLostError: If another driver has taken it.
        """
        with self._writing():
            pass

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with tables.writing(self.ledger.engine) as connection:
            self._lease.check(connection)
            yield connection

    def _update_sweep(self, **values: Any) -> None:
        with self._writing() as connection:
            sweep_row.rewrite(connection, self.sweep, **values)

    def create_studies(self, directions: Sequence[str]) -> None:
        """Make the studies that are not there yet; before the first trial.

        Args:
            directions: ``maximize`` or ``minimize``, for each objective of the search.
        """
        self._studies.create(directions)

    def record_resolved(
        self, resolved: Mapping[str, Any], earlier: Sequence[EarlierTrial] = ()
    ) -> None:
        """What the ``auto`` choices came to; recorded once and never measured again.

        Args:
            resolved: The choices.
            earlier: The trials of other sweeps from which the search starts warm.
        """
        with self._writing() as connection:
            sweep_row.record_earlier(connection, self.sweep, earlier)
            sweep_row.rewrite(connection, self.sweep, resolved=dict(resolved))

    def enter_phase(self, phase: str) -> None:
        """The phase that the sweep is in now."""
        self._update_sweep(phase=phase)

    def extend(self, num_trials: int) -> None:
        """Raise the search's number of trials and open the sweep again.

        The budget that had ended the search is lifted; the others count as before.
        """
        with self._writing() as connection:
            sweep_row.extend(connection, self.sweep, num_trials)
            queue.take_extension(connection, self.sweep, num_trials)

    def close_search(self, num_trials: int, closed: Mapping[str, Any]) -> None:
        """A budget is exhausted: the search has the trials that it asked for, and gets no more.

        Recorded once; replaying changes nothing.

        Args:
            num_trials: How many it asked for.
            closed: Which budget it was.
        """
        with self._writing() as connection:
            sweep_row.close_search(connection, self.sweep, num_trials, closed)

    def erase(self) -> None:
        """Forget the sweep and all that the ledger holds of it, so that its name is free again.

        Its own row goes last: killed before, it is still known and can be erased to the end.
        """
        self._studies.delete()
        with self._writing() as connection:
            sweep_row.erase(connection, self.sweep)

    def begin_deletion(self) -> None:
        """From here on the sweep can only be deleted to its end."""
        with self._writing() as connection:
            sweep_row.begin_deletion(connection, self.sweep)

    def end_open_attempts(self) -> None:
        """End the attempts that a dead driver left at work; this one has begun none yet."""
        with self._writing() as connection:
            attempts.abandon(connection, self.sweep)

    def record_versions(self, versions: Mapping[str, str]) -> None:
        """The versions that the sweep goes on with, accepted by the user."""
        self._update_sweep(versions=dict(versions))

    def reopen(self) -> None:
        """Forget a failure, so that the sweep can be tried again."""
        self._update_sweep(failure=None)

    def fail(self, reason: str) -> None:
        """The sweep cannot go on, for this reason."""
        self._update_sweep(failure=kept_text(reason))

    def finish(self, verdict: Mapping[str, Any]) -> None:
        """The verdict, and with it the end of the sweep."""
        with self._writing() as connection:
            sweep_row.finish(connection, self.sweep, verdict)

    def add_trials(
        self,
        phase: Phase,
        first: int,
        points: Sequence[Point],
        cohort_id: str,
        distributions: Mapping[str, BaseDistribution] | None = None,
    ) -> None:
        """Create a cohort's trials, running, with everything that defines them, in one commit.

        Args:
            phase: Their phase.
            first: Number of the first: that of the phase's trials before it.
            points: What they train.
            cohort_id: With whom.
            distributions: Of all that was proposed, from where.

        Raises:
            LedgerError: If the phase has other trials by now.
        """
        with self._writing() as connection:
            trial_rows.create(
                connection,
                self.sweep,
                phase,
                first=first,
                points=points,
                cohort_id=cohort_id,
                distributions=distributions or {},
            )

    def begin_attempt(self, cohort_id: str) -> int:
        """Record the next execution of a cohort, before it starts; its number, from 1.

        Attempts left open by a driver that died, or begun and not heard of, are ended here: only
        the newest can be at work.
        """
        with self._writing() as connection:
            return attempts.begin(connection, self.sweep, cohort_id)

    def record_begin(self, cohort_id: str, attempt: int, first_step: int, worker: str) -> None:
        """From which step on an execution is at work, and in which process."""
        with self._writing() as connection:
            attempts.record_begin(
                connection, self.sweep, cohort_id, attempt, first_step=first_step, worker=worker
            )

    def move_trial(self, phase: Phase, number: int, cohort_id: str) -> None:
        """Put a trial that has no result into another cohort."""
        self._studies.move(phase, number, cohort_id)

    def end_attempt(
        self, cohort_id: str, attempt: int, reason: str, *, with_machine: bool = False
    ) -> list[Attempt]:
        """Record why an execution brought no results; one that brought them is left as it is.

        Args:
            cohort_id: The cohort.
            attempt: Its execution.
            reason: What is known.
            with_machine: Whether it ended because its machine did.

        Returns:
            All of the cohort's executions, by number.
        """
        outcome = tables.MACHINE_LOST + reason if with_machine else reason
        with self._writing() as connection:
            attempts.end(connection, self.sweep, cohort_id, attempt, outcome)
        return self.ledger.attempts(self.sweep, cohort_id)

    def record_results(self, cohort_id: str, attempt: int, results: Sequence[Result]) -> bool:
        """The results of a cohort, all in one transaction.

        Returns:
            False if they were dropped, since a newer attempt of the cohort has begun, or brought
            its results.
        """
        with self._writing() as connection:
            return attempts.record_results(connection, self.sweep, cohort_id, attempt, results)

    def tell(self, wanted: Mapping[str, Told]) -> None:
        """End trials in Optuna's studies, all in one transaction; replaying changes nothing.

        Args:
            wanted: What Optuna is told, by trial id.

        Raises:
            LedgerError: If it was told something else of one.
        """
        with self._writing() as connection:
            trial_rows.end(connection, self.sweep, wanted)

    def tell_missing(self, wanted: Mapping[str, Told]) -> None:
        """End those of any number of trials that are not ended in Optuna's studies yet.

        Args:
            wanted: What Optuna must have been told, by trial id.

        Raises:
            LedgerError: If it was told something else.
        """
        with tables.snapshot(self.ledger.engine) as connection:
            found = told(connection, self.sweep)
        for trial_id in wanted.keys() & found.keys():
            if found[trial_id] != wanted[trial_id]:
                raise trial_rows.told_otherwise(trial_id)
        missing = {trial_id: one for trial_id, one in wanted.items() if trial_id not in found}
        if missing:
            self.tell(missing)

    def record_mlflow_run(self, trial_id: str, run_id: str) -> None:
        """The trial's run in MLflow, once everything of it is there."""
        with self._writing() as connection:
            attempts.record_mlflow_run(connection, self.sweep, trial_id, run_id)
