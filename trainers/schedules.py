"""How the learning rate goes over a run, as a share of its top.

Every schedule takes the steps done before this one and the steps of the whole run.
"""

import math
from collections.abc import Callable

HALF_PERIOD = 512
WARM_UP_SHARE = 0.1


def cycling_cosine(step: int, num_steps: int) -> float:
    """Cosine between 1 and 0 with a half-period of 512 steps, cycling for the whole run.

    1 at step 0, 0 at step 512, 1 again at step 1024.

    Source: Jermyn et al. 2022; the cycle is theirs, it is not one decay over the run.
    """
    del num_steps
    return 0.5 * (1.0 + math.cos(math.pi * step / HALF_PERIOD))


def single_cosine(step: int, num_steps: int) -> float:
    """One cosine from 1 at step 0 down to 0 at the end of the run.

    Source: Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts.
    """
    return 0.5 * (1.0 + math.cos(math.pi * step / num_steps))


def constant(step: int, num_steps: int) -> float:
    """1 throughout."""
    del step, num_steps
    return 1.0


def warm_up(step: int, num_steps: int) -> float:
    """Evenly up to 1 over the first tenth of the run, then 1; the first step is not 0."""
    return min(1.0, (step + 1) / max(1.0, WARM_UP_SHARE * num_steps))


SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "cycling_cosine": cycling_cosine,
    "single_cosine": single_cosine,
    "constant": constant,
    "warm_up": warm_up,
}
