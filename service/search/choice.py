"""Which sampler ``auto`` takes; settled without Optuna, which takes a while to import."""

from service.objective import objective_of
from service.spec import Spec

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
