"""A sweep's own row, and the earlier trials that were recorded with it.

Within the transaction of whoever calls: the ``Writer``, which checks the lease in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from service.errors import SweepNotFoundError
from service.ledger import checksums, tables
from service.trials import EarlierTrial

_NO_BUDGETS: Mapping[str, Any] = {"closed": None, "lifted": []}


@dataclass(frozen=True, kw_only=True)
class NewSweep:
    """What is recorded of a sweep before anything of it is done.

    Attributes:
        name: Its name, unique in the ledger.
        spec_text: The sweep file as the user wrote it.
        settings: The sweep file with every default filled in.
        versions: Versions of what changes numbers (monosweep, torch, ...).
        num_trials: Budget of the search.
    """

    name: str
    spec_text: str
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    num_trials: int


def create(connection: Connection, new: NewSweep) -> None:
    """Record a new sweep; raises ``IntegrityError`` if the name is taken."""
    row = {
        **dict.fromkeys(tables.sweeps.c.keys()),
        "name": new.name,
        "spec_text": new.spec_text,
        "settings": dict(new.settings),
        "versions": dict(new.versions),
        "num_trials": new.num_trials,
        "phase": "baseline",
        "created_at": tables.time_now(connection),
    }
    connection.execute(insert(tables.sweeps).values({**row, "checksum": checksums.checksum(row)}))


def check_exists(connection: Connection, sweep: str) -> None:
    """Make sure that there is such a sweep.

    Raises:
        SweepNotFoundError: If there is none.
    """
    mine = select(tables.sweeps.c.name).where(tables.sweeps.c.name == sweep)
    if connection.scalar(mine) is None:
        raise SweepNotFoundError(f"there must be a sweep named {sweep!r} in the ledger.")


def rewrite(connection: Connection, sweep: str, **values: Any) -> None:
    """Change the row, which must be as it was written: a checksum now would hide damage.

    Raises:
        LedgerError: If it is not.
    """
    content = {**_read(connection, sweep), **values}
    connection.execute(
        update(tables.sweeps)
        .where(tables.sweeps.c.name == sweep)
        .values(**values, checksum=checksums.checksum(content))
    )


def record_earlier(connection: Connection, sweep: str, earlier: Sequence[EarlierTrial]) -> None:
    """The trials of other sweeps from which the search starts warm, in place of any before."""
    mine = tables.earlier_trials.c.sweep == sweep
    connection.execute(delete(tables.earlier_trials).where(mine))
    rows = [_earlier_row(sweep, place, trial) for place, trial in enumerate(earlier)]
    if rows:
        connection.execute(insert(tables.earlier_trials), rows)


def extend(connection: Connection, sweep: str, num_trials: int) -> None:
    """Open it again for a search of more trials; see ``Writer.extend``."""
    rewrite(
        connection,
        sweep,
        num_trials=num_trials,
        phase="search",
        verdict=None,
        failure=None,
        finished_at=None,
        budgets=_lifted(_read(connection, sweep)["budgets"]),
    )


def close_search(
    connection: Connection, sweep: str, num_trials: int, closed: Mapping[str, Any]
) -> None:
    """Record once which budget ended the search; see ``Writer.close_search``."""
    budgets = _read(connection, sweep)["budgets"] or _NO_BUDGETS
    if budgets["closed"] is None:
        rewrite(
            connection, sweep, num_trials=num_trials, budgets={**budgets, "closed": dict(closed)}
        )


def begin_deletion(connection: Connection, sweep: str) -> None:
    """Record once when its deletion was begun."""
    begun = select(tables.sweeps.c.deleting_at).where(tables.sweeps.c.name == sweep)
    if connection.scalar(begun) is None:
        rewrite(connection, sweep, deleting_at=tables.time_now(connection))


def finish(connection: Connection, sweep: str, verdict: Mapping[str, Any]) -> None:
    """Its verdict, and when it was given."""
    finished_at = tables.time_now(connection)
    rewrite(connection, sweep, phase="report", verdict=dict(verdict), finished_at=finished_at)


def erase(connection: Connection, sweep: str) -> None:
    """Remove the row, and with it all that the ledger's own tables hold of the sweep."""
    connection.execute(delete(tables.sweeps).where(tables.sweeps.c.name == sweep))


def _read(connection: Connection, sweep: str) -> dict[str, Any]:
    mine = tables.sweeps.c.name == sweep
    row = connection.execute(select(tables.sweeps).where(mine).with_for_update()).one()
    return checksums.checked(row._asdict())


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


def _lifted(budgets: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if budgets is None:
        return None
    closed = [budgets["closed"]["budget"]] if budgets["closed"] else []
    return {"closed": None, "lifted": [*budgets["lifted"], *closed]}
