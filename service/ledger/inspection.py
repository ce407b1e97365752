"""Where the halves of the ledger disagree, or a dead driver left something open."""

from dataclasses import dataclass

from optuna.exceptions import StorageInternalError
from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from service.ledger import tables
from service.ledger.asked import asked
from service.ledger.reading import Ledger
from service.ledger.studies import study_name
from service.trials import PHASES

# What a database that is away or refuses raises, through our half and through Optuna's.
DATABASE_ERRORS = (SQLAlchemyError, StorageInternalError)


@dataclass(frozen=True, kw_only=True)
class Discrepancies:
    """What of a sweep does not fit together.

    Attributes:
        without_trial: Results whose trial is not among Optuna's.
        without_attempt: Results of an attempt that was never recorded.
        untold: Trials that have a result which Optuna was not told.
        ended_without_result: Trials that are ended for Optuna, but have no result.
        num_open_attempts: Attempts without an end.
        is_leased: Whether a lease is there, live or dead.
    """

    without_trial: tuple[str, ...]
    without_attempt: tuple[str, ...]
    untold: tuple[str, ...]
    ended_without_result: tuple[str, ...]
    num_open_attempts: int
    is_leased: bool


def discrepancies(ledger: Ledger, sweep: str) -> Discrepancies:
    """Compare the two halves of the ledger, as they stood at one moment."""
    with tables.snapshot(ledger.engine) as connection:
        results = _results(connection, sweep)
        attempts = connection.execute(
            select(
                tables.attempts.c.cohort_id,
                tables.attempts.c.attempt,
                tables.attempts.c.ended_at,
            ).where(tables.attempts.c.sweep == sweep)
        ).all()
        is_leased = connection.scalar(
            select(tables.leases.c.sweep).where(tables.leases.c.sweep == sweep)
        )
        trials = asked(connection, sweep)
    begun = {(row.cohort_id, row.attempt) for row in attempts}
    both = [trial_id for trial_id in results if trial_id in trials]
    return Discrepancies(
        without_trial=tuple(sorted(set(results) - set(trials))),
        without_attempt=tuple(
            trial_id
            for trial_id in both
            if (trials[trial_id].attrs["cohort_id"], results[trial_id]) not in begun
        ),
        untold=tuple(trial_id for trial_id in both if not trials[trial_id].is_told),
        ended_without_result=tuple(
            trial_id
            for trial_id, trial in trials.items()
            if trial.is_told and trial_id not in results
        ),
        num_open_attempts=sum(row.ended_at is None for row in attempts),
        is_leased=is_leased is not None,
    )


def _results(connection: Connection, sweep: str) -> dict[str, int]:
    """By trial id the attempt that brought it."""
    rows = connection.execute(
        select(tables.results.c.trial_id, tables.results.c.attempt).where(
            tables.results.c.sweep == sweep
        )
    )
    return {row.trial_id: row.attempt for row in rows}


def strange_studies(ledger: Ledger) -> list[str]:
    """Optuna's studies in the ledger's database that belong to no sweep."""
    found = {study.study_name for study in ledger.storage.get_all_studies()}
    known = {study_name(sweep, phase) for sweep in ledger.names() for phase in PHASES}
    return sorted(found - known)
