"""Writing to one sweep under its lease, checked in the same transaction as every write."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from optuna.distributions import BaseDistribution
from sqlalchemy import Connection, delete, func, insert, select, update

from service.home import without_password
from service.ledger import checksums, tables
from service.ledger.lease import Lease
from service.ledger.reading import Attempt, Ledger
from service.ledger.studies import Studies, open_storage
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
            self._rewrite_sweep(connection, **values)

    def _rewrite_sweep(self, connection: Connection, **values: Any) -> None:
        """Change its row, which must be as it was written: a checksum now would hide damage."""
        mine = tables.sweeps.c.name == self.sweep
        content = {**self._read_sweep(connection), **values}
        connection.execute(
            update(tables.sweeps).where(mine).values(**values, checksum=checksums.checksum(content))
        )

    def _read_sweep(self, connection: Connection) -> dict[str, Any]:
        mine = tables.sweeps.c.name == self.sweep
        row = connection.execute(select(tables.sweeps).where(mine).with_for_update()).one()
        return checksums.checked(row)

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
        mine = tables.earlier_trials.c.sweep == self.sweep
        rows = [_earlier_row(self.sweep, place, trial) for place, trial in enumerate(earlier)]
        with self._writing() as connection:
            connection.execute(delete(tables.earlier_trials).where(mine))
            if rows:
                connection.execute(insert(tables.earlier_trials), rows)
            self._rewrite_sweep(connection, resolved=dict(resolved))

    def enter_phase(self, phase: str) -> None:
        """The phase that the sweep is in now."""
        self._update_sweep(phase=phase)

    def extend(self, num_trials: int) -> None:
        """Raise the search's number of trials and open the sweep again.

        The budget that had ended the search is lifted; the others count as before.
        """
        with self._writing() as connection:
            record = self._read_sweep(connection)
            self._rewrite_sweep(
                connection,
                num_trials=num_trials,
                phase="search",
                verdict=None,
                failure=None,
                finished_at=None,
                budgets=_lifted(record["budgets"]),
            )

    def close_search(self, num_trials: int, closed: Mapping[str, Any]) -> None:
        """A budget is exhausted: the search has the trials that it asked for, and gets no more.

        Recorded once; replaying changes nothing.

        Args:
            num_trials: How many it asked for.
            closed: Which budget it was.
        """
        with self._writing() as connection:
            budgets = self._read_sweep(connection)["budgets"] or _NO_BUDGETS
            if budgets["closed"] is None:
                self._rewrite_sweep(
                    connection, num_trials=num_trials, budgets={**budgets, "closed": dict(closed)}
                )

    def erase(self) -> None:
        """Forget the sweep and all that the ledger holds of it, so that its name is free again.

        Its own row goes last: killed before, it is still known and can be erased to the end.
        """
        self._studies.delete()
        with self._writing() as connection:
            connection.execute(delete(tables.sweeps).where(tables.sweeps.c.name == self.sweep))

    def begin_deletion(self) -> None:
        """From here on the sweep can only be deleted to its end."""
        with self._writing() as connection:
            begun = select(tables.sweeps.c.deleting_at).where(tables.sweeps.c.name == self.sweep)
            if connection.scalar(begun) is None:
                self._rewrite_sweep(connection, deleting_at=tables.time_now(connection))

    def end_open_attempts(self) -> None:
        """End the attempts that a dead driver left at work; this one has begun none yet."""
        with self._writing() as connection:
            connection.execute(
                update(tables.attempts)
                .where(tables.attempts.c.sweep == self.sweep, tables.attempts.c.ended_at.is_(None))
                .values(ended_at=tables.now(connection), outcome=tables.ABANDONED)
            )

    def record_versions(self, versions: Mapping[str, str]) -> None:
        """The versions that the sweep goes on with, accepted by the user."""
        self._update_sweep(versions=dict(versions))

    def reopen(self) -> None:
        """Forget a failure, so that the sweep can be tried again."""
        self._update_sweep(failure=None)

    def fail(self, reason: str) -> None:
        """The sweep cannot go on, for this reason."""
        self._update_sweep(failure=_kept_text(reason))

    def finish(self, verdict: Mapping[str, Any]) -> None:
        """The verdict, and with it the end of the sweep."""
        with self._writing() as connection:
            finished_at = tables.time_now(connection)
            self._rewrite_sweep(
                connection, phase="report", verdict=dict(verdict), finished_at=finished_at
            )

    def add_trial(
        self,
        phase: Phase,
        number: int,
        point: Point,
        cohort_id: str,
        distributions: Mapping[str, BaseDistribution] | None = None,
    ) -> None:
        """Create a trial, running, with everything that defines it, in one commit.

        Args:
            phase: Its phase.
            number: Its number: that of the phase's trials before it.
            point: What it trains.
            cohort_id: With whom.
            distributions: What of its settings was proposed, and from where.
        """
        self._studies.add(phase, number, point, cohort_id, distributions or {})

    def begin_attempt(self, cohort_id: str) -> int:
        """Record the next execution of a cohort, before it starts; its number, from 1.

        Attempts left open by a driver that died, or begun and not heard of, are ended here: only
        the newest can be at work.
        """
        mine = (tables.attempts.c.sweep == self.sweep, tables.attempts.c.cohort_id == cohort_id)
        with self._writing() as connection:
            last = connection.scalar(select(func.max(tables.attempts.c.attempt)).where(*mine))
            connection.execute(
                update(tables.attempts)
                .where(*mine, tables.attempts.c.ended_at.is_(None))
                .values(ended_at=tables.now(connection), outcome=tables.ABANDONED)
            )
            attempt = (last or 0) + 1
            connection.execute(
                insert(tables.attempts).values(
                    sweep=self.sweep,
                    cohort_id=cohort_id,
                    attempt=attempt,
                    started_at=tables.now(connection),
                )
            )
        return attempt

    def record_first_step(self, cohort_id: str, attempt: int, first_step: int) -> None:
        """Where an execution went on."""
        with self._writing() as connection:
            connection.execute(
                update(tables.attempts)
                .where(
                    tables.attempts.c.sweep == self.sweep,
                    tables.attempts.c.cohort_id == cohort_id,
                    tables.attempts.c.attempt == attempt,
                )
                .values(first_step=first_step)
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
            self._end_attempt(connection, cohort_id, attempt, outcome)
        return self.ledger.attempts(self.sweep, cohort_id)

    def record_results(self, cohort_id: str, attempt: int, results: Sequence[Result]) -> bool:
        """The results of a cohort, all in one transaction.

        Returns:
            False if they were dropped, since a newer attempt of the cohort has begun, or brought
            its results.
        """
        mine = (tables.attempts.c.sweep == self.sweep, tables.attempts.c.cohort_id == cohort_id)
        with self._writing() as connection:
            newest = connection.scalar(select(func.max(tables.attempts.c.attempt)).where(*mine))
            recorded = set(
                connection.scalars(
                    select(tables.results.c.attempt).where(
                        tables.results.c.sweep == self.sweep,
                        tables.results.c.trial_id.in_([result.trial_id for result in results]),
                    )
                )
            )
            if newest != attempt or recorded:
                return recorded == {attempt}
            ended_at = tables.time_now(connection)
            connection.execute(
                insert(tables.results),
                [self._row(result, ended_at) for result in results],
            )
            self._end_attempt(connection, cohort_id, attempt, tables.RECORDED)
        return True

    def tell(self, phase: Phase, number: int, told: Told) -> None:
        """End the trial in Optuna's study; replaying changes nothing."""
        self._studies.tell(phase, number, told)

    def record_mlflow_run(self, trial_id: str, run_id: str) -> None:
        """The trial's run in MLflow, once everything of it is there."""
        with self._writing() as connection:
            connection.execute(
                update(tables.results)
                .where(tables.results.c.sweep == self.sweep, tables.results.c.trial_id == trial_id)
                .values(mlflow_run_id=run_id)
            )

    def _row(self, result: Result, ended_at: float) -> dict[str, Any]:
        row = {
            "sweep": self.sweep,
            "trial_id": result.trial_id,
            "attempt": result.attempt,
            "state": result.state,
            "reason": result.reason and _kept_text(result.reason),
            "metrics": dict(result.metrics),
            "replicates": [dict(replicate) for replicate in result.replicates],
            "loss_ratio": result.loss_ratio,
            "num_steps": result.num_steps,
            "train_s": float(result.train_s),
            "standings": result.standings
            and {step: dict(numbers) for step, numbers in result.standings.items()},
            "curves": result.curves,
            "neurons": result.neurons,
            "ended_at": ended_at,
        }
        return {**row, "checksum": checksums.checksum(row)}

    def _end_attempt(
        self, connection: Connection, cohort_id: str, attempt: int, outcome: str
    ) -> None:
        connection.execute(
            update(tables.attempts)
            .where(
                tables.attempts.c.sweep == self.sweep,
                tables.attempts.c.cohort_id == cohort_id,
                tables.attempts.c.attempt == attempt,
                tables.attempts.c.outcome.is_distinct_from(tables.RECORDED),
            )
            .values(ended_at=tables.now(connection), outcome=_kept_text(outcome))
        )


def _earlier_row(sweep: str, position: int, trial: EarlierTrial) -> dict[str, Any]:
    row = {
        "sweep": sweep,
        "position": position,
        "trial_id": trial.label,
        "settings": dict(trial.settings),
        "seeds": list(trial.seeds),
        "result": asdict(trial.result),
        "is_same": trial.is_same,
    }
    return {**row, "checksum": checksums.checksum(row)}


_NO_BUDGETS: Mapping[str, Any] = {"closed": None, "lifted": []}


def _lifted(budgets: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if budgets is None:
        return None
    closed = [budgets["closed"]["budget"]] if budgets["closed"] else []
    return {"closed": None, "lifted": [*budgets["lifted"], *closed]}


def _kept_text(said: str) -> str:
    """What somebody said, without what no database keeps: a dying process may say anything.

    Passwords are stars: MLflow shows it to everybody.
    """
    return without_password(said.replace("\0", "").encode(errors="replace").decode())
