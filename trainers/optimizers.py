"""Optimisers: an ``init`` and an ``update_`` that works in place, for T networks at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from trainers.model import Weights, split

BETA1 = 0.9
BETA2 = 0.999
LAMB_EPSILON = 1e-6
ADAM_EPSILON = 1e-8
WEIGHT_DECAY = 0.01
MOMENTUM = 0.9
LARGEST_WEIGHT_NORM = 10.0
# So late a step that 1 - beta**step, by which Adam divides its means, is exactly 1.
NO_BIAS_CORRECTION = 2**30


# What an optimiser keeps between steps, each shaped like the weights: for Adam's family the running
# means of the gradient and of its square.
Moments = tuple[Weights, ...]


class Pace(NamedTuple):
    """How far one step goes.

    Attributes:
        rates: Learning rate of each network in this step. Shape ``[T, 1]``.
        step: Steps done before this one.
    """

    rates: Tensor
    step: int


@dataclass(frozen=True)
class Optimizer:
    """A pair of functions.

    Attributes:
        num_moments: What it keeps between steps, in arrays shaped like the weights; zero at first.
        update_: ``update_(moments, weights, gradient, direction, pace)`` takes one step in place;
            see ``lamb_update_``.
    """

    num_moments: int
    update_: Callable[[Moments, Weights, Weights, Weights, Pace], None]

    def init(self, weights: Weights) -> Moments:
        """The state before the first step."""
        return tuple(zeros_like(weights) for _ in range(self.num_moments))


def zeros_like(like: Weights) -> Weights:
    """Zeros shaped like the weights of some networks."""
    _, width, num_inputs = like.encoder.shape
    return split(torch.zeros_like(like.flat), width, num_inputs)


def lamb_update_(
    moments: Moments, weights: Weights, gradient: Weights, direction: Weights, pace: Pace
) -> None:
    """One LAMB step of every network, in place: no bias correction, no weight decay.

    Args:
        moments: Moved on.
        weights: Moved on.
        gradient: Of the loss, float32.
        direction: Overwritten with the step before trust ratios and rates.
        pace: How far to go.

    Source: You et al. 2020, arXiv:1904.00962, with the constants of Jermyn et al. 2022: betas
    0.9 and 0.999, 1e-6 added after the root, weight norm clipped to [0, 10].
    """
    adam_direction_(moments, gradient, direction, NO_BIAS_CORRECTION, LAMB_EPSILON)
    scales = trust_ratios(weights, direction).mul_(pace.rates)
    encoder, bias, decoder = scales.unbind(1)
    weights.encoder.addcmul_(direction.encoder, encoder.view(-1, 1, 1), value=-1)
    weights.bias.addcmul_(direction.bias, bias.view(-1, 1), value=-1)
    weights.decoder.addcmul_(direction.decoder, decoder.view(-1, 1, 1), value=-1)


def adam_direction_(
    moments: Moments, gradient: Weights, direction: Weights, step: int, epsilon: float
) -> None:
    """Move the moments on and write ``mean / (root of mean square + epsilon)`` to ``direction``.

    Args:
        moments: Moved on.
        gradient: Float32.
        direction: Overwritten.
        step: Steps done before this one, for the bias correction.
        epsilon: Added after the root.
    """
    # A step of rate -1 from zero.
    direction.flat.zero_()
    _fused_adam_(moments, direction, gradient, step, rate=-1.0, epsilon=epsilon)


def _fused_adam_(
    moments: Moments,
    weights: Weights,
    gradient: Weights,
    step: int,
    *,
    rate: float,
    epsilon: float,
) -> None:
    """A step of torch's own Adam, in one pass: seven operations in turn take twice as long."""
    first, second = moments
    steps_done = torch.full((), float(step + 1), device=weights.flat.device)
    # What torch.optim.Adam(fused=True) calls; its wrapper would cost as much again.
    torch._fused_adam_(
        [weights.flat],
        [gradient.flat],
        [first.flat],
        [second.flat],
        [],
        [steps_done],
        lr=rate,
        beta1=BETA1,
        beta2=BETA2,
        weight_decay=0.0,
        eps=epsilon,
        amsgrad=False,
        maximize=False,
    )


def trust_ratios(weights: Weights, direction: Weights) -> Tensor:
    """Clipped weight norm over step norm for each tensor, 1 where either is 0.

    Returns:
        Shape ``[T, 3]``: W1, b, W2.
    """
    tensors = *weights.rows_of_tensors, *direction.rows_of_tensors
    norms = [torch.linalg.vector_norm(rows, dim=1) for rows in tensors]
    both = torch.stack(norms).view(2, 3, -1)
    ratios = both[0].clamp(max=LARGEST_WEIGHT_NORM).div_(both[1])
    return torch.where(both.amin(0) > 0, ratios, 1.0).mT


def adam_update_(
    moments: Moments, weights: Weights, gradient: Weights, direction: Weights, pace: Pace
) -> None:
    """One step of Adam, in place, with bias correction; arguments as for ``lamb_update_``.

    ``direction`` is not used where there is one network on a processor.

    Source: Kingma and Ba 2015, arXiv:1412.6980; betas 0.9 and 0.999, 1e-8 added after the root.
    """
    if pace.rates.device.type == "cpu" and len(pace.rates) == 1:
        # At once, where one rate is for all, and to read it is not to wait for a GPU: a wide
        # network's weights are too many for a core's cache.
        rate = pace.rates.item()
        _fused_adam_(moments, weights, gradient, pace.step, rate=rate, epsilon=ADAM_EPSILON)
    else:
        adam_direction_(moments, gradient, direction, pace.step, ADAM_EPSILON)
        weights.flat.addcmul_(direction.flat, pace.rates, value=-1)


def adamw_update_(
    moments: Moments, weights: Weights, gradient: Weights, direction: Weights, pace: Pace
) -> None:
    """One step of Adam after the weights lost 0.01 times the rate of themselves, in place.

    Source: Loshchilov and Hutter 2019, arXiv:1711.05101.
    """
    weights.flat.mul_(1 - WEIGHT_DECAY * pace.rates)
    adam_update_(moments, weights, gradient, direction, pace)


def sgd_update_(
    moments: Moments, weights: Weights, gradient: Weights, direction: Weights, pace: Pace
) -> None:
    """One step along 0.9 times the last one's gradients plus this one's, in place.

    Source: Sutskever et al. 2013, in the form that torch has: the rate is applied to the sum.
    """
    del direction
    (momentum,) = moments
    momentum.flat.mul_(MOMENTUM).add_(gradient.flat)
    weights.flat.addcmul_(momentum.flat, pace.rates, value=-1)


OPTIMIZERS: dict[str, Optimizer] = {
    "lamb": Optimizer(num_moments=2, update_=lamb_update_),
    "adam": Optimizer(num_moments=2, update_=adam_update_),
    "adamw": Optimizer(num_moments=2, update_=adamw_update_),
    "sgd": Optimizer(num_moments=1, update_=sgd_update_),
}
