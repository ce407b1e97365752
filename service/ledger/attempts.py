"""The rows of a sweep's attempts, and of the results that they brought.

Within the transaction of whoever calls: the ``Writer``, which checks the lease in it.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from service.ledger import checksums, tables
from service.ledger.text import kept_text
from service.trials import Result


def begin(connection: Connection, sweep: str, cohort_id: str) -> int:
    """Record the next execution of a cohort, and the end of any before; its number, from 1."""
    newest = _newest(connection, sweep, cohort_id)
    abandon(connection, sweep, tables.attempts.c.cohort_id == cohort_id)
    attempt = (newest or 0) + 1
    connection.execute(
        insert(tables.attempts).values(
            sweep=sweep,
            cohort_id=cohort_id,
            attempt=attempt,
            started_at=tables.now(connection),
        )
    )
    return attempt


def abandon(connection: Connection, sweep: str, *which: ColumnElement[bool]) -> None:
    """End the attempts without an end, as nobody's death.

    Args:
        connection: Of the transaction.
        sweep: The sweep's name.
        which: Conditions on the attempts; all of the sweep's without any.
    """
    connection.execute(
        update(tables.attempts)
        .where(tables.attempts.c.sweep == sweep, tables.attempts.c.ended_at.is_(None), *which)
        .values(ended_at=tables.now(connection), outcome=tables.ABANDONED)
    )


def record_begin(
    connection: Connection,
    sweep: str,
    cohort_id: str,
    attempt: int,
    *,
    first_step: int,
    worker: str,
) -> None:
    """From which step on an execution is at work, and in which process."""
    connection.execute(
        update(tables.attempts)
        .where(*_is(sweep, cohort_id, attempt))
        .values(first_step=first_step, worker=kept_text(worker))
    )


def end(connection: Connection, sweep: str, cohort_id: str, attempt: int, outcome: str) -> None:
    """Record how an execution ended; one that brought results is left as it is."""
    connection.execute(
        update(tables.attempts)
        .where(
            *_is(sweep, cohort_id, attempt),
            tables.attempts.c.outcome.is_distinct_from(tables.RECORDED),
        )
        .values(ended_at=tables.now(connection), outcome=kept_text(outcome))
    )


def record_results(
    connection: Connection, sweep: str, cohort_id: str, attempt: int, results: Sequence[Result]
) -> bool:
    """The results of a cohort, and with them the end of its attempt.

    Returns:
        False if they were dropped, since a newer attempt of the cohort has begun, or brought
        its results.
    """
    newest = _newest(connection, sweep, cohort_id)
    recorded = set(
        connection.scalars(
            select(tables.results.c.attempt).where(
                tables.results.c.sweep == sweep,
                tables.results.c.trial_id.in_([result.trial_id for result in results]),
            )
        )
    )
    if newest != attempt or recorded:
        return recorded == {attempt}
    ended_at = tables.time_now(connection)
    connection.execute(
        insert(tables.results), [_result_row(sweep, result, ended_at) for result in results]
    )
    end(connection, sweep, cohort_id, attempt, tables.RECORDED)
    return True


def record_mlflow_run(connection: Connection, sweep: str, trial_id: str, run_id: str) -> None:
    """The run in MLflow of a trial that has a result."""
    connection.execute(
        update(tables.results)
        .where(tables.results.c.sweep == sweep, tables.results.c.trial_id == trial_id)
        .values(mlflow_run_id=run_id)
    )


def _newest(connection: Connection, sweep: str, cohort_id: str) -> int | None:
    mine = (tables.attempts.c.sweep == sweep, tables.attempts.c.cohort_id == cohort_id)
    newest: int | None = connection.scalar(select(func.max(tables.attempts.c.attempt)).where(*mine))
    return newest


def _is(sweep: str, cohort_id: str, attempt: int) -> tuple[ColumnElement[bool], ...]:
    return (
        tables.attempts.c.sweep == sweep,
        tables.attempts.c.cohort_id == cohort_id,
        tables.attempts.c.attempt == attempt,
    )


def _result_row(sweep: str, result: Result, ended_at: float) -> dict[str, Any]:
    row = {
        "sweep": sweep,
        "trial_id": result.trial_id,
        "attempt": result.attempt,
        "state": result.state,
        "reason": result.reason and kept_text(result.reason),
        "metrics": dict(result.metrics),
        "replicates": [dict(replicate) for replicate in result.replicates],
        "loss_ratio": result.loss_ratio,
        "num_steps": result.num_steps,
        "train_s": float(result.train_s),
        "standings": result.standings
        and {step: dict(numbers) for step, numbers in result.standings.items()},
        "curves": result.curves,
        "neurons": result.neurons,
        "weights": result.weights,
        "ended_at": ended_at,
    }
    return {**row, "checksum": checksums.checksum(row)}
