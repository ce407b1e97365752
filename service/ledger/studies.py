"""Optuna's half of the ledger: three studies a sweep; see ``trial_rows`` for what is in them."""

from collections.abc import Sequence

import optuna
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from service.ledger.checksums import changed
from service.ledger.connections import PLUGIN, options
from service.ledger.lease import Lease
from service.trials import PHASES, Phase

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

    def move(self, phase: Phase, number: int, cohort_id: str) -> None:
        """Put a running trial into another cohort."""
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(
            self._study_id(phase), number
        )
        self._storage.set_trial_user_attr(trial_id, "cohort_id", cohort_id)

    def _study_id(self, phase: Phase) -> int:
        if phase not in self._ids:
            self._ids[phase] = self._storage.get_study_id_from_name(study_name(self._sweep, phase))
        return self._ids[phase]
