"""Who proposes: the samplers, how each is set, and which of them ``auto`` takes.

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
from optuna.trial import FrozenTrial

from search_spaces import Space, Value
from service.objective import objective_of
from service.search.spread import grid_order, spread_values
from service.spec import Spec

# Few random trials before a model proposes, since a sweep of toy models is often short.
MIN_STARTUP_TRIALS = 4
MAX_STARTUP_TRIALS = 10

# Points that are spread over the space before the Gaussian process looks at any: it extrapolates.
GP_STARTUP_TRIALS = 4

# A generation of NSGA-II: an eighth of the budget, so that short searches have some.
MIN_POPULATION = 4
MAX_POPULATION = 50

# Trials up to which TPE is asked in a tenth of a second, by the number of objectives: its model
# holds all of them. NSGA-II is asked in 2 ms among any number.
MOST_TPE_TRIALS = 5000
MOST_TPE_TRIALS_FOR_SEVERAL = 1000

# An ask of the Gaussian process takes some half a second of the driver, more among more trials than
# these. Within this share of the time that a trial takes, one must have been asked for by each
# worker.
MOST_GP_TRIALS = 200
GP_ASK_S = 0.5
MOST_GP_SHARE = 0.2

# Learn only from trials that were trained to the end, and are told what is foreseen of the others.
COMPLETE_ONLY = frozenset({"gp"})

# (number of the trial, how often it was asked for before) -> sampler.
Maker = Callable[[int, int], BaseSampler]


def resolve_sampler(spec: Spec, trial_s: float, at_a_time: int) -> str:
    """The sampler that a sweep is searched with; what ``auto`` stands for is settled here alone.

    A Gaussian process needs the fewest trials (``make bench-search``) and takes longest to ask: it
    is for one objective, not too many trials, and those that take long enough. TPE learns from
    everything that can come of a trial, and from parameters with conditions; NSGA-II takes over
    where TPE's asks would get slow, but never where trials are stopped early, which it ignores, or
    have conditions, which it draws at random.

    Args:
        spec: The sweep file.
        trial_s: Seconds that a trial's training takes, roughly; 0 where that is not known.
        at_a_time: How many are trained at a time.
    """
    if spec.search.sampler != "auto":
        return spec.search.sampler
    has_one_goal = len(objective_of(spec).goals) == 1
    keeps_up = at_a_time * GP_ASK_S <= MOST_GP_SHARE * trial_s
    is_short = spec.search.num_trials <= MOST_GP_TRIALS
    if has_one_goal and keeps_up and is_short and not spec.space.conditions:
        return "gp"
    most = MOST_TPE_TRIALS if has_one_goal else MOST_TPE_TRIALS_FOR_SEVERAL
    is_quick = spec.search.num_trials <= most
    needs_tpe = spec.stopping is not None or bool(spec.space.conditions)
    return "tpe" if is_quick or needs_tpe else "nsga2"


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
    return lambda number, retry: NSGAIISampler(
        seed=_seed(sweep_seed, number, retry), population_size=population
    )


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
