"""How the learning rate goes over a run, as a share of its top."""

import math
from collections.abc import Callable

HALF_PERIOD = 512


def cycling_cosine(step: int) -> float:
    """Cosine between 1 and 0 with a half-period of 512 steps, cycling for the whole run.

    Args:
        step: Steps done before this one.

    Returns:
        The share of the learning rate that this step uses: 1 at step 0, 0 at step 512.

    Source: Jermyn et al. 2022; the cycle is theirs, it is not one decay over the run.
    """
    return 0.5 * (1.0 + math.cos(math.pi * step / HALF_PERIOD))


SCHEDULES: dict[str, Callable[[int], float]] = {"cycling_cosine": cycling_cosine}
