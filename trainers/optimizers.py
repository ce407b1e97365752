"""Optimisers: an ``init`` and an ``update_`` that works in place, for T networks at once."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.adam import adam

from trainers.model import Weights, split

BETA1 = 0.9
BETA2 = 0.999
LAMB_EPSILON = 1e-6
LARGEST_WEIGHT_NORM = 10.0
# So late a step that 1 - beta**step, by which Adam divides its means, is exactly 1.
NO_BIAS_CORRECTION = 2**30


@dataclass(frozen=True, eq=False)
class Moments:
    """Running means of the gradient and of its square, each shaped like the weights."""

    first: Weights
    second: Weights

    def rows(self, kept: list[int]) -> "Moments":
        """A copy of some of the networks'."""
        return Moments(self.first.rows(kept), self.second.rows(kept))


@dataclass(frozen=True)
class Optimizer:
    """A pair of functions.

    Attributes:
        init: Weights to the state before the first step.
        update_: ``update_(moments, weights, gradient, direction, rates)`` takes one step in place;
            ``direction`` is a buffer that it overwrites.
    """

    init: Callable[[Weights], Moments]
    update_: Callable[[Moments, Weights, Weights, Weights, Tensor], None]


def zeros_like(like: Weights) -> Weights:
    """Zeros shaped like the weights of some networks."""
    _, width, num_inputs = like.encoder.shape
    return split(torch.zeros_like(like.flat), width, num_inputs)


def moments_of_zero(weights: Weights) -> Moments:
    """The state of Adam's family before the first step."""
    return Moments(first=zeros_like(weights), second=zeros_like(weights))


def lamb_update_(
    moments: Moments, weights: Weights, gradient: Weights, direction: Weights, rates: Tensor
) -> None:
    """One LAMB step of every network, in place: no bias correction, no weight decay.

    Args:
        moments: Moved on.
        weights: Moved on.
        gradient: Of the loss, float32.
        direction: Overwritten with the step before trust ratios and rates.
        rates: Learning rate of each network in this step. Shape ``[T, 1]``.

    Source: You et al. 2020, arXiv:1904.00962, with the constants of Jermyn et al. 2022: betas
    0.9 and 0.999, 1e-6 added after the root, weight norm clipped to [0, 10].
    """
    adam_direction_(moments, gradient, direction, NO_BIAS_CORRECTION, LAMB_EPSILON)
    scales = trust_ratios(weights, direction).mul_(rates)
    encoder, bias, decoder = scales.unbind(1)
    weights.encoder.addcmul_(direction.encoder, encoder.view(-1, 1, 1), value=-1)
    weights.bias.addcmul_(direction.bias, bias.view(-1, 1), value=-1)
    weights.decoder.addcmul_(direction.decoder, decoder.view(-1, 1, 1), value=-1)


def adam_direction_(
    moments: Moments, gradient: Weights, direction: Weights, step: int, epsilon: float
) -> None:
    """Move the moments on and write ``mean / (root of mean square + epsilon)`` to ``direction``.

    All in one pass over the arrays: torch's fused Adam takes a step of -1 from zero. Seven
    operations one after the other take twice as long.

    Args:
        moments: Moved on.
        gradient: Float32.
        direction: Overwritten.
        step: Steps done before this one, for the bias correction.
        epsilon: Added after the root.
    """
    direction.flat.zero_()
    steps_done = torch.full((), float(step), device=direction.flat.device)
    adam(
        [direction.flat],
        [gradient.flat],
        [moments.first.flat],
        [moments.second.flat],
        [],
        [steps_done],
        fused=True,
        amsgrad=False,
        maximize=False,
        beta1=BETA1,
        beta2=BETA2,
        lr=-1.0,
        weight_decay=0.0,
        eps=epsilon,
    )


def trust_ratios(weights: Weights, direction: Weights) -> Tensor:
    """Clipped weight norm over step norm for each tensor, 1 where either is 0.

    Norms are taken one network at a time, so that none depends on how many there are.

    Returns:
        Shape ``[T, 3]``: W1, b, W2.
    """
    norms = [
        torch.linalg.vector_norm(network) for network in (*weights.networks, *direction.networks)
    ]
    both = torch.stack(norms).view(2, 3, -1)
    ratios = both[0].clamp(max=LARGEST_WEIGHT_NORM).div_(both[1])
    return torch.where(both.amin(0) > 0, ratios, 1.0).mT


OPTIMIZERS: dict[str, Optimizer] = {"lamb": Optimizer(moments_of_zero, lamb_update_)}
