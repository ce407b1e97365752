"""Asking Optuna for settings, and telling it what came of them.

Proposals are made in a mirror of the search's study, in memory, and only then created in the
ledger, each with its parameters and cohort in one commit. The sampler is rebuilt for every ask and
seeded from the sweep's seed and the trial's number, so that a search that was interrupted proposes
what it would have proposed.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from search_spaces import Choice, Float, Int, Space
from service.objective import Objective
from service.trials import Settings, Told, Trial

# Few random trials before the model proposes, since a sweep of toy models is often short.
MIN_STARTUP_TRIALS = 4
MAX_STARTUP_TRIALS = 10


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Optuna's words for what varies in a space."""
    return {name: _distribution(parameter) for name, parameter in space.varied.items()}


def _distribution(parameter: Float | Int | Choice) -> BaseDistribution:
    match parameter:
        case Float(low=low, high=high, log=log):
            return FloatDistribution(low, high, log=log)
        case Int(low=low, high=high, step=step, log=log):
            return IntDistribution(low, high, step=step, log=log)
        case Choice(options=options):
            return CategoricalDistribution(options)


def resolve_sampler(sampler: str) -> str:
    """The sampler that ``auto`` stands for: TPE learns from constraints, and asks quickly."""
    return "tpe" if sampler == "auto" else sampler


def _tpe(seed: int, num_trials: int) -> BaseSampler:
    startup = min(max(num_trials // 4, MIN_STARTUP_TRIALS), MAX_STARTUP_TRIALS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(seed=seed, n_startup_trials=startup, multivariate=True)


def _random(seed: int, _num_trials: int) -> BaseSampler:
    return RandomSampler(seed=seed)


SAMPLERS: Mapping[str, Callable[[int, int], BaseSampler]] = {"tpe": _tpe, "random": _random}


class Search:
    """Proposes settings for a search's trials.

    Args:
        space: What may vary, and what it fixes.
        base: Every setting's value where the space does not name it.
        sampler: A name in ``SAMPLERS``.
        sweep_seed: The seed of the sweep.
        num_trials: The search's budget.
        objective: What the search is after.
    """

    def __init__(
        self,
        space: Space,
        base: Settings,
        *,
        sampler: str,
        sweep_seed: int,
        num_trials: int,
        objective: Objective,
    ) -> None:
        self.distributions = distributions(space)
        self._space = space
        self._base = base
        self._make_sampler = SAMPLERS[sampler]
        self._sweep_seed = sweep_seed
        self._num_trials = num_trials
        self._objective = objective
        self._mirror = optuna.create_study(directions=objective.directions)

    def proposals(self, trials: Sequence[Trial], count: int) -> list[Settings]:
        """Settings for the next trials, made with everything that is known of the earlier ones.

        Asked again before they are in the ledger, it gives the same: the mirror counts what it
        has proposed as running.

        Args:
            trials: All of the search's trials in the ledger, by number.
            count: How many are wanted.
        """
        self._catch_up(trials)
        while len(self._mirrored()) < len(trials) + count:
            self._ask()
        proposed = self._mirrored()[len(trials) : len(trials) + count]
        return [{**self._base, **self._space.settings(frozen.params)} for frozen in proposed]

    def _mirrored(self) -> list[FrozenTrial]:
        return self._mirror.get_trials(deepcopy=False)

    def _catch_up(self, trials: Sequence[Trial]) -> None:
        """Bring the mirror up to what the ledger holds."""
        for trial in trials[len(self._mirrored()) :]:
            self._mirror.add_trial(
                create_trial(
                    state=TrialState.RUNNING,
                    params={name: trial.settings[name] for name in self.distributions},
                    distributions=self.distributions,
                )
            )
        for trial, frozen in zip(trials, self._mirrored(), strict=False):
            if trial.result is not None and not frozen.state.is_finished():
                told = self._objective.told(trial.result, trial.settings)
                self._tell_mirror(trial.number, told)

    def _tell_mirror(self, number: int, told: Told) -> None:
        trial = optuna.Trial(self._mirror, self._mirrored()[number]._trial_id)
        for name, excess in told.constraints.items():
            trial.set_constraint(name, excess)
        state = TrialState.PRUNED if told.values is None else TrialState.COMPLETE
        self._mirror.tell(number, told.values, state=state)

    def _ask(self) -> None:
        """Let the mirror have one trial more."""
        number = len(self._mirrored())
        seed = int(np.random.SeedSequence((self._sweep_seed, number)).generate_state(1)[0])
        self._mirror.sampler = self._make_sampler(seed, self._num_trials)
        self._mirror.ask(self.distributions)
