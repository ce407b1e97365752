"""A study in memory that shows NSGA-II the trials that can still matter to it, and no others.

It looks at every trial several times for each ask: 50 ms among 6,000. But a trial's generation is
told by the newest one and how many of it are complete; its parents were chosen once, or are chosen
now, from the generation before and the parents of that. Whatever is older decides nothing any more.
"""

import copy
from bisect import insort
from collections.abc import Container, Sequence

from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from service.search import generations


class NewestGenerations(InMemoryStorage):
    """Trials as NSGA-II needs them, for one study where all parameters are always there.

    By id every trial is found, and those that wait; listed are the complete ones of the two newest
    generations, and the parents of these and of the next.
    """

    def __init__(self) -> None:
        super().__init__()
        # Ids of complete trials, ascending, by generation.
        self._complete: dict[int, list[int]] = {}

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """As in every storage; a complete trial is counted to its generation."""
        was_set = super().set_trial_state_values(trial_id, state, values)
        generation = generations.of(self.get_trial(trial_id))
        if state is TrialState.COMPLETE and generation is not None:
            insort(self._complete.setdefault(generation, []), trial_id)
        return was_set

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Those that can still matter, by number, and of them those in the given states."""
        if states == (TrialState.WAITING,):
            return super().get_all_trials(study_id, deepcopy, states)
        newest = max(self._complete, default=0)
        ids = {*self._complete.get(newest - 1, ()), *self._complete.get(newest, ())}
        for generation in (newest - 1, newest, newest + 1):
            ids.update(generations.parents(self, study_id, generation) or ())
        trials = [self.get_trial(trial_id) for trial_id in sorted(ids)]
        if states is not None:
            trials = [trial for trial in trials if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials
