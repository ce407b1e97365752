"""Optimisers: an ``init`` and an ``update_`` that works in place, for T networks at once."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from trainers.model import Weights, split

BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-6
LARGEST_WEIGHT_NORM = 10.0


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
        update_: ``update_(moments, weights, gradient, rates)`` takes one step in place.
    """

    init: Callable[[Weights], Moments]
    update_: Callable[[Moments, Weights, Weights, Tensor], None]


def _zeros(like: Weights) -> Weights:
    _, width, num_inputs = like.encoder.shape
    return split(torch.zeros_like(like.flat), width, num_inputs)


def lamb_init(weights: Weights) -> Moments:
    """Moments of zero."""
    return Moments(first=_zeros(weights), second=_zeros(weights))


def lamb_update_(moments: Moments, weights: Weights, gradient: Weights, rates: Tensor) -> None:
    """One LAMB step of every network, in place: no bias correction, no weight decay.

    Args:
        moments: Moved on.
        weights: Moved on.
        gradient: Of the loss, float32; overwritten with the step taken.
        rates: Learning rate of each network in this step. Shape ``[T]``.

    Source: You et al. 2020, arXiv:1904.00962, with the constants of Jermyn et al. 2022: betas
    0.9 and 0.999, 1e-6 added after the root, weight norm clipped to [0, 10].
    """
    first, second, step = moments.first.flat, moments.second.flat, gradient.flat
    first.lerp_(gradient.flat, 1 - BETA1)
    second.mul_(BETA2).addcmul_(gradient.flat, gradient.flat, value=1 - BETA2)
    torch.sqrt(second, out=step).add_(EPSILON)
    torch.div(first, step, out=step)
    scales = trust_ratios(weights, gradient) * rates.unsqueeze(1)
    for tensor, scale in zip(gradient.tensors, scales.unbind(1), strict=True):
        tensor.mul_(scale.view(-1, *[1] * (tensor.dim() - 1)))
    weights.flat.sub_(step)


def trust_ratios(weights: Weights, direction: Weights) -> Tensor:
    """Clipped weight norm over step norm for each tensor, 1 where either is 0.

    Norms are taken one network at a time, so that none depends on how many there are.

    Returns:
        Shape ``[T, 3]``: W1, b, W2.
    """
    norms = [
        torch.linalg.vector_norm(network)
        for group in (weights, direction)
        for tensor in group.tensors
        for network in tensor
    ]
    weight_norms, step_norms = torch.stack(norms).view(2, 3, -1).mT.unbind(0)
    ratios = weight_norms.clamp(max=LARGEST_WEIGHT_NORM) / step_norms
    return torch.where((weight_norms > 0) & (step_norms > 0), ratios, 1.0)


OPTIMIZERS: dict[str, Optimizer] = {"lamb": Optimizer(lamb_init, lamb_update_)}
