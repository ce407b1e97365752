"""What a network has become: held-out loss and how monosemantic its neurons are."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from trainers.model import Nonlinearity, Weights
from trainers.passes import Passes
from trainers.samples import Samples

MONOSEMANTIC_ABOVE = 0.999
# Keeps the concentration of a silent neuron at zero.
CONCENTRATION_FLOOR = 1e-10
NO_FEATURE = -1
# The paper shows each feature at value 1 only, also where features are signed.
PUBLISHED_SIGNS = (1,)


@dataclass(frozen=True)
class Evaluation:
    """The metrics of one network at one step.

    Attributes:
        loss: Squared error summed over outputs, averaged over the held-out samples.
        monosemantic_per_feature: Monosemantic neurons / N; passes 1 when features share.
        monosemantic_per_neuron: Monosemantic neurons / k.
        feature_coverage: Features with at least one monosemantic neuron / N.
        concentration_per_feature: Concentrations summed over neurons that are not dead / N: a soft
            ``monosemantic_per_feature``, which moves before any neuron is past the threshold.
        num_dead: Neurons that answer to no feature alone.
        mean_bias: Mean of b.
        monosemantic_per_feature_published: The same as ``monosemantic_per_feature`` but for signed
            features, which the paper probes at +1 only: there a neuron for -1 looks dead.
    """

    loss: float
    monosemantic_per_feature: float
    monosemantic_per_neuron: float
    feature_coverage: float
    concentration_per_feature: float
    num_dead: int
    mean_bias: float
    monosemantic_per_feature_published: float


@dataclass(frozen=True, eq=False)
class Curve:
    """The metrics of one network over its steps; arrays of equal length, in order.

    Attributes:
        steps: Steps done: 1, 2, 4, ... and the last. int64.
    """

    steps: NDArray[np.int64]
    loss: NDArray[np.float64]
    monosemantic_per_feature: NDArray[np.float64]
    monosemantic_per_neuron: NDArray[np.float64]
    feature_coverage: NDArray[np.float64]
    concentration_per_feature: NDArray[np.float64]
    num_dead: NDArray[np.int64]
    mean_bias: NDArray[np.float64]
    monosemantic_per_feature_published: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Neurons:
    """What each neuron of one network answers to. Every array has shape ``[k]``.

    Attributes:
        bias: Its bias.
        concentration: Largest response / sum of responses; 1 is one feature only.
        feature: The feature it answers to most, -1 for a dead neuron.
        strength: Its largest response to one feature alone.
        kind: "monosemantic", "polysemantic" or "dead".
    """

    bias: NDArray[np.float32]
    concentration: NDArray[np.float32]
    feature: NDArray[np.int64]
    strength: NDArray[np.float32]
    kind: NDArray[np.str_]


def curve(points: Sequence[tuple[int, Evaluation]]) -> Curve:
    """Evaluations at steps to one array for each metric."""
    columns: dict[str, NDArray[Any]] = {
        field.name: np.array(
            [getattr(evaluation, field.name) for _, evaluation in points],
            dtype=np.int64 if field.type is int else np.float64,
        )
        for field in fields(Evaluation)
    }
    return Curve(steps=np.array([step for step, _ in points], dtype=np.int64), **columns)


def neurons(
    weights: Weights,
    num_neurons: int,
    projection: Tensor,
    nonlinearity: Nonlinearity,
    signs: tuple[int, ...] = PUBLISHED_SIGNS,
) -> Neurons:
    """Probe one network with each feature alone, at value 1 or at each of several values.

    Of a nonlinearity that goes below zero the positive part of the responses counts. A neuron's
    response to a feature is the sum of those to its values: one that answers to a feature at -1
    and to another at 1 answers to two.

    Args:
        weights: One network, T = 1, float32.
        num_neurons: Its neurons without padding.
        projection: P. Shape ``[m, N]``.
        nonlinearity: act.
        signs: The values.

    Source: Jermyn et al. 2022, the single-feature activations of section 3.
    """
    bias = weights.bias[0, :num_neurons]
    positive = responses(weights, num_neurons, projection, nonlinearity, signs).clamp_min_(0)
    strength = positive.amax(dim=(0, 2))
    to_each = positive.sum(dim=0)
    largest, feature = to_each.max(dim=1)
    concentration = largest / (CONCENTRATION_FLOOR + to_each.sum(dim=1))
    dead = ~(strength > nonlinearity.dead_below)
    monosemantic = concentration > MONOSEMANTIC_ABOVE
    kind = np.where(
        dead.cpu(), "dead", np.where(monosemantic.cpu(), "monosemantic", "polysemantic")
    )
    return Neurons(
        bias=bias.cpu().numpy().copy(),
        concentration=concentration.cpu().numpy(),
        feature=feature.masked_fill(dead, NO_FEATURE).cpu().numpy(),
        strength=strength.cpu().numpy(),
        kind=kind,
    )


def responses(
    weights: Weights,
    num_neurons: int,
    projection: Tensor,
    nonlinearity: Nonlinearity,
    signs: Sequence[int],
) -> Tensor:
    """Responses of one network's neurons to each feature alone; arguments as of ``neurons``.

    Returns:
        ``A[s, j, i]``: of neuron j to feature i at ``signs[s]``. Shape ``[S, k, N]``.

    Source: Jermyn et al. 2022, the single-feature activations of section 3.
    """
    bias = weights.bias[0, :num_neurons].unsqueeze(1)
    seen = weights.encoder[0, :num_neurons] @ projection
    answers = seen.new_empty(len(signs), *seen.shape)
    for sign, answer in zip(signs, answers, strict=True):
        nonlinearity.apply(sign * seen + bias, answer)
    return answers


def held_out_loss(passes: Passes, held_out: Samples) -> float:
    """Loss of one network over all held-out samples.

    Args:
        passes: Of one network, T = 1, float32, for batches of a block.
        held_out: Blocks of samples, float32.
    """
    num_blocks, block_size, _ = held_out.inputs.shape
    norms = held_out.inputs.new_empty(num_blocks, 1)
    for block, norm in zip(held_out.blocks(), norms, strict=True):
        passes.forward_(block.inputs)
        block.targets.subtract_from_(passes)
        passes.error_norms_(norm)
    return float(norms.square().sum()) / (num_blocks * block_size)


def evaluation(loss: float, found: Neurons, published: Neurons, num_features: int) -> Evaluation:
    """Sum up one network's neurons beside its loss.

    Args:
        loss: Held-out loss.
        found: Its neurons.
        published: Its neurons, probed as the paper does.
        num_features: Features, N.
    """
    monosemantic = found.kind == "monosemantic"
    num_monosemantic = int(monosemantic.sum())
    num_neurons = len(found.kind)
    return Evaluation(
        loss=loss,
        monosemantic_per_feature=num_monosemantic / num_features,
        monosemantic_per_neuron=num_monosemantic / num_neurons,
        feature_coverage=len(np.unique(found.feature[monosemantic])) / num_features,
        concentration_per_feature=float(
            found.concentration[found.kind != "dead"].sum(dtype=np.float64)
        )
        / num_features,
        num_dead=int((found.kind == "dead").sum()),
        mean_bias=float(found.bias.mean(dtype=np.float64)),
        monosemantic_per_feature_published=float((published.kind == "monosemantic").sum())
        / num_features,
    )
