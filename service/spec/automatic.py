"""What ``early_stopping: auto`` stands for: it follows from the file and monosweep's version alone.

So it is not recorded: a sweep goes on only with the version that began it, or is told that numbers
may change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.spec import Spec

# Of so many trials one goes on, with the usual reduction; the smaller the cohort, the sooner the
# search hears of it.
MIN_STOPPED_COHORT = 4
# Where trainings were looked at (make bench-search) they have 8192 steps; much shorter ones have
# too little of their curve behind them after a quarter.
MIN_STOPPED_STEPS = 4096
# Two cohorts: what was learnt of those that were stopped must be of use to somebody.
MIN_STOPPED_TRIALS = 2 * MIN_STOPPED_COHORT
# With more, ``auto`` leaves the search to a sampler that ignores those that were stopped.
MOST_STOPPED_TRIALS = 5000
# Whoever takes another one wants to see every trial's end.
_LEARNING = ("auto", "gp", "tpe")


def gains_by_stopping(spec: Spec) -> bool:
    """Whether stopping trials early is known to help a sweep of this kind."""
    goals = (*spec.objective.maximize, *spec.objective.minimize)
    size = spec.compute.cohort_size
    return (
        len(goals) == 1
        and goals != ("train_s",)
        and spec.search.sampler in _LEARNING
        and spec.training.num_steps >= MIN_STOPPED_STEPS
        and MIN_STOPPED_TRIALS <= spec.search.num_trials <= MOST_STOPPED_TRIALS
        and (size == "auto" or size >= MIN_STOPPED_COHORT)
    )
