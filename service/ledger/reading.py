"""Reading the ledger: sweeps and their trials, for everybody, with or without the lease."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from threading import Lock
from typing import Any

from optuna.storages import RDBStorage
from sqlalchemy import case, func, select
from sqlalchemy.exc import IntegrityError

from service.errors import SweepExistsError, SweepNotFoundError
from service.ledger import checksums, sweep_row, tables
from service.ledger.halves import trials_of
from service.ledger.holder import Holder
from service.ledger.lease import is_live, live_holder, live_sweeps
from service.ledger.opening import connect
from service.ledger.records import Attempt, SweepRecord
from service.ledger.studies import open_storage
from service.ledger.sweep_row import NewSweep
from service.trials import ENDED, PHASES, EarlierTrial, Phase, Result, Trial


class Ledger:
    """The durable truth of all sweeps in one database.

    Owns the connections to it. Writing to a sweep, past its creation, is the ``Writer``'s.

    Args:
        url: A SQLAlchemy URL, SQLite or PostgreSQL.
        create: Make the tables that are not there; otherwise refuse a database without them.
        bring_up_to_date: Bring the tables of an earlier version up to date.
        on_missing: Called where there is no ledger, before one is made; may raise to prevent it.

    Raises:
        UserError: If there is no such database, nobody may open it so, or there is no ledger in it
            to read.
        LedgerError: If it cannot be opened or read.
        LedgerAwayError: If it does not answer now.
    """

    def __init__(
        self,
        url: str,
        *,
        create: bool = True,
        bring_up_to_date: bool = False,
        on_missing: Callable[[], None] = lambda: None,
    ) -> None:
        self.url = url
        self.engine = connect(
            url, create=create, bring_up_to_date=bring_up_to_date, on_missing=on_missing
        )
        self._storage: RDBStorage | None = None
        # A server's threads ask for it at the same moment.
        self._opening = Lock()

    @property
    def storage(self) -> RDBStorage:
        """Optuna's storage in the same database, opened when first needed."""
        with self._opening:
            if self._storage is None:
                self._storage = open_storage(self.url)
            return self._storage

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        if self._storage is not None:
            self._storage.engine.dispose()

    def create_sweep(
        self,
        name: str,
        *,
        spec_text: str,
        settings: Mapping[str, Any],
        versions: Mapping[str, str],
        num_trials: int,
    ) -> None:
        """Record a new sweep; from here on its name can be resumed.

        Raises:
            SweepExistsError: If the name is taken.
        """
        try:
            with tables.writing(self.engine) as connection:
                sweep_row.create(
                    connection,
                    NewSweep(
                        name=name,
                        spec_text=spec_text,
                        settings=settings,
                        versions=versions,
                        num_trials=num_trials,
                    ),
                )
        except IntegrityError as error:
            raise SweepExistsError(f"a sweep named {name!r} is already in the ledger.") from error

    def names(self) -> list[str]:
        """Names of all sweeps, oldest first."""
        with self.engine.connect() as connection:
            query = select(tables.sweeps.c.name).order_by(tables.sweeps.c.created_at)
            return list(connection.scalars(query))

    def sweep(self, name: str) -> SweepRecord:
        """What is recorded of a sweep.

        Raises:
            SweepNotFoundError: If there is none of that name.
        """
        with self.engine.connect() as connection:
            row = connection.execute(
                select(tables.sweeps).where(tables.sweeps.c.name == name)
            ).one_or_none()
            if row is None:
                raise SweepNotFoundError(self._not_found(name))
            return SweepRecord(
                **checksums.checked(row._asdict()), is_live=is_live(connection, name)
            )

    def driver(self, name: str) -> Holder | None:
        """The driver that is at work on a sweep now, or None."""
        with self.engine.connect() as connection:
            return live_holder(connection, name)

    def sweeps(self) -> list[SweepRecord]:
        """What is recorded of every sweep, oldest first."""
        with self.engine.connect() as connection:
            # First: who finishes in between is finished, and not interrupted for a moment.
            live = live_sweeps(connection)
            rows = connection.execute(select(tables.sweeps).order_by(tables.sweeps.c.created_at))
            return [
                SweepRecord(**checksums.checked(row._asdict()), is_live=row.name in live)
                for row in rows
            ]

    def num_written(self, name: str) -> tuple[int, ...]:
        """Results, attempts and ended attempts of a sweep: alike only if no trial went on."""
        results, attempts = tables.results.c, tables.attempts.c
        with self.engine.connect() as connection:
            num_results = connection.scalar(select(func.count()).where(results.sweep == name))
            row = connection.execute(
                select(func.count(), func.count(attempts.ended_at)).where(attempts.sweep == name)
            ).one()
        return (num_results or 0, *row)

    def has_begun(self, name: str) -> bool:
        """Whether any cohort of a sweep was ever handed out: before, it has no files anywhere."""
        mine = select(tables.attempts.c.attempt).where(tables.attempts.c.sweep == name)
        with self.engine.connect() as connection:
            return connection.scalar(mine.limit(1)) is not None

    def attempts(self, name: str, cohort_id: str | None = None) -> list[Attempt]:
        """The executions of a cohort by number, or of all of them by when they were started."""
        rows = tables.attempts.c
        mine = [rows.sweep == name, *([rows.cohort_id == cohort_id] if cohort_id else [])]
        columns = [
            rows.attempt.label("number") if field.name == "number" else rows[field.name]
            for field in fields(Attempt)
        ]
        with self.engine.connect() as connection:
            found = connection.execute(
                select(*columns).where(*mine).order_by(rows.started_at, rows.attempt)
            )
            return [Attempt(**row._asdict()) for row in found]

    def waits_for_worker(self, name: str, seconds: float) -> bool:
        """Whether no cohort of a driven sweep is trained, and none was for so many seconds.

        One at least is handed out, and a worker for it has not begun.
        """
        rows = tables.attempts.c
        is_open = rows.ended_at.is_(None)
        query = select(
            # Each is null where there is none.
            func.min(case((is_open, rows.started_at))),
            func.count(case((is_open, rows.worker))),
            func.max(rows.ended_at),
        ).where(rows.sweep == name)
        with self.engine.connect() as connection:
            handed_out_at, num_training, ended_at = connection.execute(query).one()
            now = tables.time_now(connection)
        if handed_out_at is None or num_training:
            return False
        return bool(now - max(handed_out_at, ended_at or 0.0) >= seconds)

    def _not_found(self, name: str) -> str:
        names = self.names()
        known = f"found only: {', '.join(names)}" if names else "found none at all"
        return (
            f"there must be a sweep named {name!r} in the ledger, {known}. "
            "Start one with: monosweep run SPEC"
        )

    def trials(self, name: str, *phases: Phase) -> list[Trial]:
        """The trials of a sweep, of the given phases or of all, ordered by phase and number.

        Raises:
            LedgerError: If a row is not as it was written, or one is lost that others tell of.
        """
        with tables.snapshot(self.engine) as connection:
            return trials_of(connection, name, phases or PHASES)

    def earlier_trials(self, name: str) -> list[EarlierTrial]:
        """The trials of other sweeps from which a sweep's search was started warm, in order.

        Raises:
            LedgerError: If a row is not as it was written.
        """
        with self.engine.connect() as connection:
            rows = connection.execute(
                select(tables.earlier_trials)
                .where(tables.earlier_trials.c.sweep == name)
                .order_by(tables.earlier_trials.c.position)
            ).all()
        return [_earlier_trial(checksums.checked(row._asdict())) for row in rows]


def _earlier_trial(content: Mapping[str, Any]) -> EarlierTrial:
    result = content["result"]
    return EarlierTrial(
        sweep=content["trial_id"].partition(" of ")[2],
        settings=content["settings"],
        seeds=tuple(content["seeds"]),
        result=Result(**{**result, "replicates": tuple(result["replicates"])}),
        is_same=content["is_same"],
    )


def unfinished(trials: Sequence[Trial]) -> list[Trial]:
    """Those that have no result yet."""
    return [trial for trial in trials if trial.state not in ENDED]
