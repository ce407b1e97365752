"""What happened when, by the database's clock."""

from collections.abc import Iterable

from sqlalchemy import Engine, func, select

from service.ledger import tables
from service.trials import Phase


def in_order_of_end(engine: Engine, sweep: str, phase: Phase) -> list[int]:
    """Numbers of a phase's trials that have ended, in that order.

    Those of one cohort ended at one moment, and come by number.
    """
    results = tables.results.c
    with engine.connect() as connection:
        rows = connection.execute(
            select(results.ended_at, results.trial_id).where(
                results.sweep == sweep, results.trial_id.startswith(f"{phase}/")
            )
        ).all()
    return [number for _, number in sorted((row[0], int(row[1].split("/")[1])) for row in rows)]


def seconds_at_work(engine: Engine, sweep: str, phase: Phase) -> float:
    """How long one cohort of a phase or several were at work, all in all.

    Attempts without an end are the present driver's, and are left out.
    """
    attempts = tables.attempts.c
    with engine.connect() as connection:
        rows = connection.execute(
            select(attempts.started_at, func.coalesce(attempts.ended_at, attempts.started_at))
            .where(attempts.sweep == sweep, attempts.cohort_id.startswith(f"{phase}-"))
            .order_by(attempts.started_at)
        ).all()
    return _covered((row[0], row[1]) for row in rows)


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Length of what spans cover, in the order of their beginnings."""
    total, until = 0.0, float("-inf")
    for begin, end in spans:
        total += max(end - max(begin, until), 0.0)
        until = max(until, end)
    return total
