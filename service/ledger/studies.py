"""Optuna's half of the ledger: three studies a sweep, one trial in one commit.

A trial is created running, with its parameters, seeds and cohort, in a single transaction, so
there is never one that was asked only in part.
"""

from collections.abc import Mapping, Sequence

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from service.errors import LedgerAwayError, LedgerError
from service.ledger.checksums import COLUMN, changed, checksum
from service.ledger.connections import PLUGIN, options
from service.ledger.lease import Lease
from service.trials import PHASES, Phase, Point, Told

optuna.logging.set_verbosity(optuna.logging.ERROR)


def study_name(sweep: str, phase: Phase) -> str:
    """``<sweep>`` for the search, ``<sweep>/<phase>`` for the others."""
    return sweep if phase == "search" else f"{sweep}/{phase}"


def open_storage(url: str, *, always_writes: bool = False) -> RDBStorage:
    """Optuna's storage in the ledger's database, whose tables are there already.

    Args:
        url: The ledger's URL.
        always_writes: Take SQLite's write lock in every transaction, so that the lease which is
            checked in it stays ours until the commit.
    """
    ours = {"plugins": [PLUGIN], "always_writes": always_writes}
    return RDBStorage(
        url,
        engine_kwargs={**options(make_url(url)), **ours},
        skip_table_creation=True,
        skip_compatibility_check=True,
    )


class Studies:
    """The three studies of one sweep.

    Args:
        storage: Optuna's storage in the ledger's database.
        sweep: The sweep's name.
    """

    def __init__(self, storage: RDBStorage, sweep: str) -> None:
        self._storage = storage
        self._sweep = sweep
        self._ids: dict[Phase, int] = {}
        self._studies: dict[Phase, optuna.Study] = {}
        # Whether the last trial may have been created although its commit was not heard of.
        self._is_in_doubt = False

    def guard(self, lease: Lease) -> None:
        """From now on check the lease in every transaction of this storage."""

        @event.listens_for(self._storage.scoped_session.session_factory, "before_commit")
        def check(session: Session) -> None:
            lease.check(session.connection())

    def create(self, directions: Sequence[str]) -> None:
        """Make the studies that are not there yet.

        The baseline's makes the loss smaller; the others have the search's objectives.

        Args:
            directions: ``maximize`` or ``minimize``, for each objective of the search.

        Raises:
            LedgerError: If one is there with other objectives.
        """
        found = {study.study_name: study for study in self._storage.get_all_studies()}
        for phase in PHASES:
            name = study_name(self._sweep, phase)
            words = ("minimize",) if phase == "baseline" else directions
            wanted = [StudyDirection[word.upper()] for word in words]
            if name not in found:
                self._storage.create_new_study(wanted, name)
            elif found[name].directions != wanted:
                raise changed(f"the directions of the study {name}")

    def delete(self) -> None:
        """Remove the studies and their trials; those that are gone already are as good."""
        for study in self._storage.get_all_studies():
            if study.study_name in {study_name(self._sweep, phase) for phase in PHASES}:
                self._storage.delete_study(study._study_id)
        self._ids.clear()
        self._studies.clear()

    def add(
        self,
        phase: Phase,
        number: int,
        point: Point,
        cohort_id: str,
        distributions: Mapping[str, BaseDistribution],
    ) -> None:
        """Create a running trial in one commit. Replaying changes nothing.

        Args:
            phase: The trial's study.
            number: Its number: that of the study's trials before it.
            point: What it trains.
            cohort_id: With whom.
            distributions: What of its settings was proposed, and from where.
        """
        if self._is_in_doubt and self._has(phase, number):
            self._is_in_doubt = False
            return
        params = {name: point.settings[name] for name in distributions}
        attrs = {
            "settings": dict(point.settings),
            "seeds": list(point.seeds),
            "role": point.role,
            # Left out where there is none, as it was before there was any.
            **({"same_as": point.same_as} if point.same_as is not None else {}),
            **({"memory": dict(point.memory)} if point.memory else {}),
        }
        template = create_trial(
            state=TrialState.RUNNING,
            params=params,
            distributions=dict(distributions),
            user_attrs={
                "cohort_id": cohort_id,
                **attrs,
                COLUMN: checksum({"phase": phase, "number": number, "params": params, **attrs}),
            },
        )
        try:
            self._storage.create_new_trial(self._study_id(phase), template)
        except LedgerAwayError:
            self._is_in_doubt = True
            raise
        self._is_in_doubt = False

    def _has(self, phase: Phase, number: int) -> bool:
        return self._storage.get_n_trials(self._study_id(phase)) > number

    def move(self, phase: Phase, number: int, cohort_id: str) -> None:
        """Put a running trial into another cohort."""
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(
            self._study_id(phase), number
        )
        self._storage.set_trial_user_attr(trial_id, "cohort_id", cohort_id)

    def tell(self, phase: Phase, number: int, told: Told) -> None:
        """End a trial. Replaying changes nothing: an ended trial is left as it is.

        Args:
            phase: The trial's study.
            number: Its number.
            told: Its values and its constraints.
        """
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(
            self._study_id(phase), number
        )
        trial = self._storage.get_trial(trial_id)
        if trial.state.is_finished():
            _check_told(phase, trial, told)
            return
        missing = [name for name in told.constraints if name not in trial.constraints]
        if missing:
            asked = optuna.Trial(self._study(phase), trial_id)
            for name in missing:
                asked.set_constraint(name, told.constraints[name])
        if told.values is None:
            self._storage.set_trial_state_values(trial_id, TrialState.PRUNED)
        else:
            values = [float(value) for value in told.values]
            self._storage.set_trial_state_values(trial_id, TrialState.COMPLETE, values)

    def _study(self, phase: Phase) -> optuna.Study:
        """The study, loaded once: a sixth of the queries of telling a trial were for that."""
        if phase not in self._studies:
            self._studies[phase] = optuna.load_study(
                study_name=study_name(self._sweep, phase), storage=self._storage
            )
        return self._studies[phase]

    def _study_id(self, phase: Phase) -> int:
        if phase not in self._ids:
            self._ids[phase] = self._storage.get_study_id_from_name(study_name(self._sweep, phase))
        return self._ids[phase]


def _check_told(phase: Phase, trial: FrozenTrial, told: Told) -> None:
    """Make sure that an ended trial was told what its result says.

    Raises:
        LedgerError: If it was not.
    """
    values = tuple(trial.values) if trial.state is TrialState.COMPLETE else None
    if Told(values, trial.constraints) != told:
        raise told_otherwise(f"{phase}/{trial.number}")


def told_otherwise(trial_id: str) -> LedgerError:
    """The error for a trial that Optuna was told something else of than its result says."""
    return changed(f"what Optuna was told of {trial_id}")
