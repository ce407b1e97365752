"""What our half of the ledger says of a sweep's trials, read in one go."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from service.ledger import tables
from service.ledger.lease import is_live


@dataclass(frozen=True)
class Outcomes:
    """The results, and the attempts that brought them.

    Attributes:
        is_live: Whether a driver is at work on the sweep.
        is_kept: Whether it is there, and not being deleted: then the trials go before the results.
        results: The rows by trial id, each by its columns.
        attempts: By cohort id how many ``attempts`` there were, and how many are still ``open``.
    """

    is_live: bool
    is_kept: bool
    results: Mapping[str, Mapping[str, Any]]
    attempts: Mapping[str, Row[Any]]


def outcomes(connection: Connection, sweep: str) -> Outcomes:
    """What is recorded now."""
    attempts, sweeps = tables.attempts, tables.sweeps
    kept = select(sweeps.c.name).where(sweeps.c.name == sweep, sweeps.c.deleting_at.is_(None))
    return Outcomes(
        is_live=is_live(connection, sweep),
        is_kept=connection.scalar(kept) is not None,
        results=_results(connection, sweep),
        attempts={
            row.cohort_id: row
            for row in connection.execute(
                select(
                    attempts.c.cohort_id,
                    func.max(attempts.c.attempt).label("attempts"),
                    # An attempt without an end is the one at work.
                    (func.count() - func.count(attempts.c.ended_at)).label("open"),
                )
                .where(attempts.c.sweep == sweep)
                .group_by(attempts.c.cohort_id)
            )
        },
    )


def _results(connection: Connection, sweep: str) -> dict[str, dict[str, Any]]:
    results = tables.results
    found = connection.execute(select(results).where(results.c.sweep == sweep))
    # Once: a row that is asked for its columns' names makes a list of them, 10,000 rows one each.
    columns = tuple(found.keys())
    rows = (dict(zip(columns, row, strict=True)) for row in found.all())
    return {row["trial_id"]: row for row in rows}
