"""Reading the ledger: sweeps and their trials, for everybody, with or without the lease."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy import Row, func, select
from sqlalchemy.exc import IntegrityError

from service.errors import SweepDeletingError, SweepExistsError, SweepNotFoundError
from service.ledger import checksums, sweep_row, tables
from service.ledger.holder import Holder
from service.ledger.lease import being_deleted, is_live, live_holder, live_sweeps
from service.ledger.outcomes import Outcomes, outcomes
from service.ledger.studies import Studies, open_storage
from service.ledger.sweep_row import NewSweep
from service.trials import ENDED, PHASES, EarlierTrial, Phase, Result, State, Trial


@dataclass(frozen=True, kw_only=True)
class SweepRecord:
    """What the ledger holds of a sweep as a whole.

    Attributes:
        name: Its name, unique in the ledger.
        spec_text: The sweep file as the user wrote it.
        settings: The sweep file with every default filled in.
        versions: Versions of what changes numbers (monosweep, torch, ...), at creation.
        num_trials: Budget of the search; ``resume --num-trials`` raises it.
        resolved: What the ``auto`` choices came to; None before the first cohort.
        phase: ``baseline``, ``search``, ``confirmation``, ``report``.
        verdict: The verdict as JSON, once there is one.
        failure: Why the sweep could not go on, or None.
        created_at: Seconds since 1970, by the database's clock.
        finished_at: The same, or None while it is not finished.
        deleting_at: The same, or None unless its deletion was begun.
        budgets: What became of the search's budgets; see ``closed`` and ``lifted``.
        is_live: Whether a driver is at work on it now.
    """

    name: str
    spec_text: str
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    num_trials: int
    resolved: Mapping[str, Any] | None
    phase: str
    verdict: Mapping[str, Any] | None
    failure: str | None
    created_at: float
    finished_at: float | None
    deleting_at: float | None
    budgets: Mapping[str, Any] | None
    is_live: bool

    @property
    def state(self) -> str:
        """``running``, ``interrupted``, ``finished``, ``failed`` or ``deleting``."""
        if self.deleting_at is not None:
            return "deleting"
        if self.failure is not None:
            return "failed"
        if self.finished_at is not None:
            return "finished"
        return "running" if self.is_live else "interrupted"

    @property
    def closed(self) -> Mapping[str, Any] | None:
        """Which budget ended the search before its number of trials, or None."""
        return self.budgets["closed"] if self.budgets else None

    @property
    def lifted(self) -> tuple[str, ...]:
        """Budgets that count no more, since the search was extended past them."""
        return tuple(self.budgets["lifted"]) if self.budgets else ()

    def check_is_kept(self) -> None:
        """Refuse a sweep of which a part may be gone already.

        Raises:
            SweepDeletingError: If its deletion was begun.
        """
        if self.deleting_at is not None:
            raise SweepDeletingError(being_deleted(self.name))


@dataclass(frozen=True)
class Attempt:
    """One execution of a cohort.

    Attributes:
        cohort_id: The cohort.
        number: Which execution of it this is, from 1.
        worker: Host and process that trained it; None if nobody was told.
        first_step: Steps that the cohort had done when it began; None if nobody was told.
        started_at: When it was handed out, in seconds since 1970 by the database's clock.
        ended_at: The same of its end; None while it is at work.
        outcome: How it ended; None while it is at work.
    """

    cohort_id: str
    number: int
    worker: str | None
    first_step: int | None
    started_at: float
    ended_at: float | None
    outcome: str | None

    @property
    def died(self) -> bool:
        """Whether it ended without results, and not with its driver."""
        return self.outcome not in (None, tables.ABANDONED, tables.RECORDED)

    @property
    def lost_machine(self) -> bool:
        """Whether it died together with its machine."""
        return self.outcome is not None and self.outcome.startswith(tables.MACHINE_LOST)


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
        self.engine = tables.connect(
            url, create=create, bring_up_to_date=bring_up_to_date, on_missing=on_missing
        )
        self._storage: RDBStorage | None = None

    @property
    def storage(self) -> RDBStorage:
        """Optuna's storage in the same database, opened when first needed."""
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
            return SweepRecord(**checksums.checked(row), is_live=is_live(connection, name))

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
            return [SweepRecord(**checksums.checked(row), is_live=row.name in live) for row in rows]

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
        asked = phases or PHASES
        before = outcomes(self.engine, name)
        # Read after the results: whoever has one was there before.
        studies = Studies(self.storage, name)
        told = {
            f"{phase}/{frozen.number}": (phase, frozen)
            for phase in asked
            for frozen in studies.trials(phase)
        }
        lost = [
            trial_id
            for trial_id in before.results
            if trial_id not in told and trial_id.partition("/")[0] in asked
        ]
        ended_since = {
            trial_id
            for trial_id, (_, frozen) in told.items()
            if frozen.state.is_finished() and trial_id not in before.results
        }
        # A driver, or a deletion, may have been at work between the two looks.
        after = outcomes(self.engine, name) if lost or ended_since else before
        for trial_id in lost:
            if after.is_kept and trial_id in after.results:
                raise checksums.changed(f"the trial {trial_id}")
        return [
            _trial(phase, frozen, after if trial_id in ended_since else before)
            for trial_id, (phase, frozen) in told.items()
        ]

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
        return [_earlier_trial(checksums.checked(row)) for row in rows]


def _earlier_trial(content: Mapping[str, Any]) -> EarlierTrial:
    result = content["result"]
    return EarlierTrial(
        sweep=content["trial_id"].partition(" of ")[2],
        settings=content["settings"],
        seeds=tuple(content["seeds"]),
        result=Result(**{**result, "replicates": tuple(result["replicates"])}),
        is_same=content["is_same"],
    )


def _trial(phase: Phase, frozen: FrozenTrial, recorded: Outcomes) -> Trial:
    attrs = frozen.user_attrs
    cohort_id = attrs["cohort_id"]
    row = recorded.results.get(f"{phase}/{frozen.number}")
    attempt = recorded.attempts.get(cohort_id)
    state: State = "waiting"
    if row is not None:
        state = row.state
        if attempt is None or attempt.attempts != row.attempt:
            raise checksums.changed(f"the attempts of {cohort_id}")
    elif frozen.state.is_finished():
        raise checksums.changed(f"the result of {phase}/{frozen.number}")
    elif recorded.is_live and attempt is not None and attempt.open:
        state = "running"
    return Trial(
        phase=phase,
        number=frozen.number,
        settings=attrs["settings"],
        varied=tuple(frozen.params),
        seeds=tuple(attrs["seeds"]),
        cohort_id=cohort_id,
        role=attrs["role"],
        same_as=attrs.get("same_as"),
        memory=attrs.get("memory", {}),
        state=state,
        attempts=attempt.attempts if attempt is not None else 0,
        result=_result(row) if row is not None else None,
        mlflow_run_id=row.mlflow_run_id if row is not None else None,
    )


def _result(row: Row[Any]) -> Result:
    content = checksums.checked(row)
    return Result(
        **{field.name: content[field.name] for field in fields(Result)}
        | {"replicates": tuple(content["replicates"])}
    )


def unfinished(trials: Sequence[Trial]) -> list[Trial]:
    """Those that have no result yet."""
    return [trial for trial in trials if trial.state not in ENDED]
