"""When a network is beyond help."""

import math

# A network is taken out when its mean loss over a chunk is above this many times that of answering
# zero. Healthy networks stay below 2 times, or start higher and fall: at 256/32/512 an initial bias
# of +1 starts at 70 times (at 600 with SoLU) and is below 10 times after 64 steps at a learning
# rate of 0.001, after 1000 at 0.0001. So until GRACE_STEPS, one cycle of the schedule, a network
# that started high may stay there, up to twice where it started.
DIVERGED_ABOVE = 10.0
GRACE_STEPS = 1024
GRACE_ABOVE_FIRST = 2.0


def divergence_reason(
    mean_loss: float, first_loss: float, zero_loss: float, step: int
) -> str | None:
    """Why a network has diverged, in a sentence for people, or None if it has not.

    Args:
        mean_loss: Mean training loss over the last chunk.
        first_loss: Training loss of the first step.
        zero_loss: Expected loss of answering zero.
        step: Steps done.
    """
    if not math.isfinite(mean_loss):
        return f"loss is not finite at step {step}"
    if mean_loss <= DIVERGED_ABOVE * zero_loss:
        return None
    if step <= GRACE_STEPS and mean_loss <= GRACE_ABOVE_FIRST * first_loss:
        return None
    return (
        f"loss {mean_loss:.3g} at step {step} is more than {DIVERGED_ABOVE:g} times that of "
        f"answering zero ({zero_loss:.3g})"
    )
