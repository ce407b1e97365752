"""A study in memory that knows of a search what the ledger knows, for the samplers to look at."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from search_spaces import Choice, Float, Int, Parameter, Space, Value
from service.objective import Direction
from service.search import generations
from service.search.ranges import distributions
from service.trials import Result, Told


class Mirror:
    """Trials as the samplers see them, in the order in which they were added.

    A sampler is asked with a trial that is thrown away, and what it proposed enters as a trial of
    the ledger does. So a mirror that was there all the time and one that was rebuilt hold the same,
    whatever samplers leave on trials for processes beside them.

    Args:
        space: What varies.
        directions: ``maximize`` or ``minimize`` for each objective.
        storage: An empty one.
    """

    def __init__(
        self, space: Space, directions: Sequence[Direction], storage: InMemoryStorage
    ) -> None:
        self.distributions = distributions(space)
        self._space = space
        self._storage = storage
        self._study = optuna.create_study(storage=self._storage, directions=list(directions))
        self._study_id = self._storage.get_study_id_from_name(self._study.study_name)
        # Optuna's ids of the trials that were added, those thrown away left out.
        self._ids: list[int] = []
        self._places: dict[int, int] = {}

    def __len__(self) -> int:
        """How many trials were added."""
        return len(self._ids)

    def add(self, values: Mapping[str, Value], memory: Mapping[str, Any]) -> None:
        """A trial that has not ended.

        Args:
            values: What is there of what varies.
            memory: What ``ask`` said must be kept of it.
        """
        varied = {name: self.distributions[name] for name in values}
        params = {
            name: one.to_external_repr(one.to_internal_repr(values[name]))
            for name, one in varied.items()
        }
        trial = _NewTrial(params, varied, system_attrs=generations.of_trial(memory))
        trial_id = self._storage.create_new_trial(self._study_id, trial)
        self._places[trial_id] = len(self._ids)
        self._ids.append(trial_id)
        generations.restore(self._storage, self._study_id, memory, self._ids)

    def tell(self, index: int, result: Result, told: Told) -> None:
        """End a trial.

        One that was stopped early ranks behind all that were not, and by how far it came: without
        a constraint it would be feasible in Optuna's eyes, and as good as any other such.
        """
        trial_id, values = self._ids[index], told.values
        trial = Trial(self._study, trial_id)
        for name, value in told.constraints.items():
            trial.set_constraint(name, value)
        if values is None and result.state == "pruned" and len(self._study.directions) == 1:
            trial.report(0.0, step=result.num_steps)
            values = (0.0,)
        state = TrialState.PRUNED if told.values is None else TrialState.COMPLETE
        self._storage.set_trial_state_values(trial_id, state, values)

    def ask(
        self, sampler: BaseSampler, given: Mapping[str, Value]
    ) -> tuple[dict[str, Value], dict[str, Any]]:
        """What a sampler proposes next.

        Args:
            sampler: Whom to ask.
            given: Values that are settled already.

        Returns:
            What is there of what varies, and what must be kept with the trial besides.
        """
        self._study.sampler = sampler
        if given:
            self._study.enqueue_trial(dict(given))
        trial = self._study.ask()
        values: dict[str, Value] = {}
        for name in self._space.asked_in_order():
            if self._space.is_active(name, values):
                values[name] = _suggested(trial, name, self._space.varied[name])
        memory = generations.of_ask(self._storage, self._study_id, trial, self._places)
        self._study.tell(trial, state=TrialState.FAIL)
        return values, memory


class _NewTrial(FrozenTrial):
    """A trial for a storage to take in, which then is the storage's own.

    Optuna's storages in memory copy what they are given, each of its distributions too, and copy a
    trial once more for each parameter where these come one by one: that was most of the time of
    rebuilding a mirror of 10,000.
    """

    def __init__(
        self,
        params: dict[str, Any],
        varied: dict[str, BaseDistribution],
        system_attrs: dict[str, Any],
    ) -> None:
        super().__init__(
            number=-1,  # the storage gives it one, and an id
            trial_id=-1,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=datetime.now(),
            datetime_complete=None,
            params=params,
            distributions=varied,
            user_attrs={},
            system_attrs=system_attrs,
            intermediate_values={},
        )

    def __deepcopy__(self, _memo: object) -> FrozenTrial:
        """Not a copy: a plain trial with the same parts, so it may be taken in once only."""
        taken_in = FrozenTrial.__new__(FrozenTrial)
        taken_in.__dict__.update(self.__dict__)
        return taken_in


def _suggested(trial: Trial, name: str, parameter: Parameter) -> Value:
    match parameter:
        case Float(low=low, high=high, log=log):
            return float(trial.suggest_float(name, low, high, log=log))
        case Int(low=low, high=high, step=step, log=log):
            return int(trial.suggest_int(name, low, high, step=step, log=log))
        case Choice(options=options):
            chosen = trial.suggest_categorical(name, options)
            return options[options.index(chosen)]
