"""A sweep as a value for notebooks: its trials, curves, neurons and networks, and its verdict.

The command line shows the same; both are made from the ledger and the storage, and need neither
MLflow nor the machines that trained.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from service.columns import CURVES_SCHEMA, NEURONS_SCHEMA
from service.errors import StorageError, UserError
from service.home import Home
from service.ledger import Attempt, Ledger, SweepRecord
from service.objective import Objective, objective_of
from service.recorded import spec_of, verdict_of
from service.spec import Spec
from service.storage import Storage
from service.tables import attempts_table, gathered, reading, trials_table
from service.trials import PHASES, Trial
from service.verdict import Json

if TYPE_CHECKING:
    from service.figures import Gallery
    from trainers import Network


class OpenSweep:
    """A sweep as it stood when it was opened; open it again to see what happened since.

    Attributes:
        record: What the ledger holds of it as a whole.
        known_trials: Its trials, ordered by phase and number.

    Args:
        record: What the ledger holds of it as a whole.
        trials: Its trials, ordered by phase and number.
        attempts: The executions of its cohorts, by when they were started.
        storage: Where its curves, neurons and networks lie.
    """

    def __init__(
        self,
        record: SweepRecord,
        trials: Sequence[Trial],
        attempts: Sequence[Attempt],
        storage: Storage,
    ) -> None:
        self.record = record
        self.known_trials = tuple(trials)
        self._by_id = {trial.trial_id: trial for trial in self.known_trials}
        self._attempts = tuple(attempts)
        self._storage = storage

    @property
    def name(self) -> str:
        """Its name."""
        return self.record.name

    @property
    def state(self) -> str:
        """``running``, ``interrupted``, ``finished``, ``failed`` or ``deleting``."""
        return self.record.state

    @cached_property
    def spec(self) -> Spec:
        """The sweep file, every default filled in."""
        return spec_of(self.record)

    @cached_property
    def objective(self) -> Objective:
        """What is searched for, and within which limits."""
        return objective_of(self.spec)

    def best(self) -> Json:
        """The verdict, as ``monosweep best NAME --json`` prints it; open while there is none."""
        return verdict_of(self.record)

    @cached_property
    def trials(self) -> pa.Table:
        """A row for each trial: the columns of ``trials.parquet``."""
        return trials_table(self.known_trials, self.objective)

    @cached_property
    def curves(self) -> pa.Table:
        """A row for each step of each network's curve: the columns of ``curves.parquet``."""
        return self.curves_of(*self._with_results)

    @cached_property
    def neurons(self) -> pa.Table:
        """A row for each neuron of each network at its end: the columns of ``neurons.parquet``."""
        return self.neurons_of(*self._with_results)

    @cached_property
    def attempts(self) -> pa.Table:
        """A row for each execution of a cohort: which worker trained it, from when to when."""
        return attempts_table(self._attempts)

    @cached_property
    def figures(self) -> "Gallery":
        """Its figures by name, each drawn when it is first looked at.

        In a notebook one shows itself; ``figures.absent`` says why others are not there.
        """
        # matplotlib takes a while to import, and not everybody who opens a sweep looks at figures.
        from service.figures import Gallery  # noqa: PLC0415

        return Gallery(self)

    def __repr__(self) -> str:
        return f"<sweep {self.name}: {self.state}, {self._counted}>"

    def _repr_html_(self) -> str:
        sentence = escape(str(self.best()["sentence"]))
        return f"<strong>{escape(self.name)}</strong> ({self.state}, {self._counted})<br>{sentence}"

    @property
    def _counted(self) -> str:
        counts = Counter(trial.phase for trial in self.known_trials)
        return ", ".join(f"{counts[phase]} {phase}" for phase in PHASES if counts[phase]) or (
            "no trials yet"
        )

    def curves_of(self, *trial_ids: str) -> pa.Table:
        """The curves of some trials only, of which no other file is read.

        Raises:
            UserError: If there is no such trial, or it has not ended.
            StorageError: If curves that the ledger names are gone or damaged.
            StorageAwayError: If the storage does not answer.
        """
        return self._gathered("curves", CURVES_SCHEMA, trial_ids)

    def neurons_of(self, *trial_ids: str) -> pa.Table:
        """The neurons of some trials only; see ``curves_of``."""
        return self._gathered("neurons", NEURONS_SCHEMA, trial_ids)

    def kept_networks(self, trial_id: str) -> "tuple[Network, ...]":
        """The networks of a confirmation trial, one for each of its seeds; none of any other.

        Raises:
            UserError: If there is no such trial.
            StorageError: If they are gone, damaged, or a later version's.
            StorageAwayError: If the storage does not answer.
        """
        from trainers import EnvelopeError, networks_from_bytes  # noqa: PLC0415 - torch is slow

        result = self.trial(trial_id).result
        if result is None or result.weights is None:
            return ()
        with reading():
            data = self._storage.read_file(result.weights)
        try:
            return networks_from_bytes(data)
        except EnvelopeError as error:
            raise StorageError(f"{error} ({result.weights})") from error

    def trial(self, trial_id: str) -> Trial:
        """A trial by its id; a bare number means search.

        Raises:
            UserError: If there is none.
        """
        full = f"search/{trial_id}" if trial_id.isdecimal() else trial_id
        if full in self._by_id:
            return self._by_id[full]
        counts = {
            phase: sum(one.phase == phase for one in self.known_trials)
            for phase in dict.fromkeys(one.phase for one in self.known_trials)
        }
        known = ", ".join(f"{phase}/0 to {phase}/{num - 1}" for phase, num in counts.items())
        raise UserError(
            f"there must be a trial {full!r} in the sweep {self.name}, found "
            f"{known or 'no trials yet'}. Name one of these."
        )

    @property
    def _with_results(self) -> list[str]:
        return [trial.trial_id for trial in self.known_trials if trial.result is not None]

    def _gathered(self, what: str, schema: pa.Schema, trial_ids: Sequence[str]) -> pa.Table:
        paths, owners = [], {}
        for trial_id in trial_ids:
            trial = self.trial(trial_id)
            if trial.result is None:
                raise UserError(
                    f"a trial must have ended to have {what}, found {trial.trial_id} "
                    f"{trial.state}. Name another, or open the sweep again later."
                )
            paths.append(getattr(trial.result, what))
            owners[trial.trial_id] = trial.same_as or trial.trial_id
        found = gathered(self._storage, paths, schema)
        # Those of a trial that was not trained are those of the one that it is the same as.
        return found.filter(
            pc.is_in(found["trial_id"], pa.array(set(owners.values()), pa.string()))
        )


def open_sweep(name: str, home: Home | None = None) -> OpenSweep:
    """Open a sweep, whatever its state.

    Args:
        name: Its name.
        home: Where it was written; by default what the environment names, see
            ``Home.from_environment``.

    Raises:
        UserError: If there is no such sweep, or no ledger.
        LedgerError: If the ledger is damaged.
        LedgerAwayError: If it does not answer.
    """
    home = home or Home.from_environment()
    with closing(Ledger(home.ledger_url, create=False)) as ledger:
        record = ledger.sweep(name)
        record.check_is_kept()
        return OpenSweep(record, ledger.trials(name), ledger.attempts(name), Storage(home.storage))
