"""Who proposes: the samplers, and how each is set.

A sampler is made anew for each ask, from the sweep's seed and the trial's number alone.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial

from search_spaces import Space, Value
from service.search.spread import grid_order, spread_values

# Few random trials before a model proposes, since a sweep of toy models is often short.
MIN_STARTUP_TRIALS = 4
MAX_STARTUP_TRIALS = 10

# Points that are spread over the space before the Gaussian process looks at any: it extrapolates.
GP_STARTUP_TRIALS = 4

# A generation of NSGA-II: an eighth of the budget, so that short searches have some.
MIN_POPULATION = 4
MAX_POPULATION = 50

# Learn only from trials that were trained to the end, and are told what is foreseen of the others.
COMPLETE_ONLY = frozenset({"gp"})

# (number of the trial, how often it was asked for before) -> sampler.
Maker = Callable[[int, int], BaseSampler]


def _tpe(space: Space, sweep_seed: int, num_trials: int) -> Maker:
    def make(number: int, retry: int) -> BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return TPESampler(
                seed=_seed(sweep_seed, number, retry),
                n_startup_trials=_startup(num_trials),
                multivariate=True,
                # Parameters that are there together are modelled together.
                group=True,
            )

    return make


def _gp(space: Space, sweep_seed: int, num_trials: int) -> Maker:
    # It brings torch, which takes seconds to import and no other sampler needs.
    from optuna.samplers import GPSampler  # noqa: PLC0415

    def make(number: int, retry: int) -> BaseSampler:
        return GPSampler(
            seed=_seed(sweep_seed, number, retry),
            n_startup_trials=GP_STARTUP_TRIALS,
            independent_sampler=_Settled(spread_values(space, sweep_seed, number, retry)),
            warn_independent_sampling=False,
        )

    return make


def _nsga2(space: Space, sweep_seed: int, num_trials: int) -> Maker:
    population = min(max(num_trials // 8, MIN_POPULATION), MAX_POPULATION)
    in_common = IntersectionSearchSpace()

    def make(number: int, retry: int) -> BaseSampler:
        seed = _seed(sweep_seed, number, retry)
        sampler = NSGAIISampler(seed=seed, population_size=population)
        # One for all asks, which looks through each trial once. No subclass: Optuna keeps
        # generations under the name of the sampler's class.
        sampler._search_space = in_common
        return sampler

    return make


def _random(space: Space, sweep_seed: int, num_trials: int) -> Maker:
    return lambda number, retry: RandomSampler(seed=_seed(sweep_seed, number, retry))


def _quasi_random(space: Space, sweep_seed: int, num_trials: int) -> Maker:
    return lambda number, retry: _Settled(spread_values(space, sweep_seed, number, retry))


def _grid(space: Space, sweep_seed: int, num_trials: int) -> Maker:
    order, listed = grid_order(space, sweep_seed), list[dict[str, Value]]()

    def make(number: int, retry: int) -> BaseSampler:
        listed.extend(islice(order, max(number + 1 - len(listed), 0)))
        return _Settled(listed[number])

    return make


SAMPLERS: Mapping[str, Callable[[Space, int, int], Maker]] = {
    "tpe": _tpe,
    "gp": _gp,
    "nsga2": _nsga2,
    "random": _random,
    "quasi_random": _quasi_random,
    "grid": _grid,
}


def _seed(sweep_seed: int, number: int, retry: int) -> int:
    return int(np.random.SeedSequence((sweep_seed, number, retry)).generate_state(1)[0])


def _startup(num_trials: int) -> int:
    return min(max(num_trials // 4, MIN_STARTUP_TRIALS), MAX_STARTUP_TRIALS)


class _Settled(BaseSampler):
    """Proposes one point that was settled before, whatever came of the others."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._values[param_name]

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: optuna.trial.TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Learn nothing from it."""
