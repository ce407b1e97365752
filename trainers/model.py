"""Two-layer networks side by side: weights, forward pass, closed-form gradients.

``pre = W1 x + b``, ``h = act(pre)``, ``y = W2 h``; no bias on the second layer. W2 is stored
neuron-major (its transpose, ``decoder``), so that every tensor has its neurons on the first axis
after the networks' and a wider network holds a narrower one's rows first.

Dimensions: T networks of one width in a tile, B samples, N outputs, m inputs, k neurons, padded.

Source: Jermyn et al. 2022, section 2.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainers.features import Stream, generator

# Every width is padded to its own multiple of this, alone or in company: products and sums over
# neurons then run over the same length whatever other widths are in the cohort.
WIDTH_MULTIPLE = 64


def padded_width(num_neurons: int) -> int:
    """Neurons with padding: the least multiple of ``WIDTH_MULTIPLE`` that holds them."""
    return -(-num_neurons // WIDTH_MULTIPLE) * WIDTH_MULTIPLE


@dataclass(frozen=True)
class Nonlinearity:
    """An activation function and its derivative, both on arrays ``[T, B, k]``.

    It must be 0 at 0, so that padded neurons stay silent.

    Attributes:
        apply: ``apply(pre, out)`` writes ``act(pre)`` to ``out`` and returns it.
        scale_: ``scale_(grad, pre, hidden)`` multiplies ``grad`` by ``act'(pre)`` in place.
        in_place: Whether ``scale_`` needs no ``pre``, so that ``hidden`` may overwrite it.
        dead_below: A neuron whose largest response is at most this is dead. ReLU is silent or it
            is not; the others answer faintly to everything, and 0.001 is a thousandth of a
            feature's largest value.
    """

    apply: Callable[[Tensor, Tensor], Tensor]
    scale_: Callable[[Tensor, Tensor, Tensor], Tensor]
    in_place: bool = False
    dead_below: float = 0.001


def _relu(pre: Tensor, out: Tensor) -> Tensor:
    return torch.clamp_min(pre, 0, out=out)


def _relu_scale_(grad: Tensor, pre: Tensor, hidden: Tensor) -> Tensor:
    del pre
    # A bfloat16 is above 0 where its bits are as an integer, and integers are compared four times
    # faster; a NaN shows in the loss before it comes here.
    bits = torch.int16 if grad.dtype == torch.bfloat16 else grad.dtype
    torch.ops.aten.threshold_backward.grad_input(
        grad.view(bits), hidden.view(bits), 0, grad_input=grad.view(bits)
    )
    return grad


def _gelu(pre: Tensor, out: Tensor) -> Tensor:
    value: Tensor = torch.ops.aten.gelu.out(pre, out=out)
    return value


def _gelu_scale_(grad: Tensor, pre: Tensor, hidden: Tensor) -> Tensor:
    del hidden
    scaled: Tensor = torch.ops.aten.gelu_backward.grad_input(grad, pre, grad_input=grad)
    return scaled


def _solu(pre: Tensor, out: Tensor) -> Tensor:
    return torch.exp(pre, out=out).mul_(pre)


def _solu_scale_(grad: Tensor, pre: Tensor, hidden: Tensor) -> Tensor:
    return grad.mul_(torch.exp(pre).add_(hidden))


NONLINEARITIES: dict[str, Nonlinearity] = {
    "relu": Nonlinearity(_relu, _relu_scale_, in_place=True, dead_below=0.0),
    "gelu": Nonlinearity(_gelu, _gelu_scale_),
    "solu": Nonlinearity(_solu, _solu_scale_),
}


@dataclass(frozen=True, eq=False)
class Weights:
    """The weights of T networks, or anything shaped like them (gradients, moments).

    Attributes:
        flat: All of them. Shape ``[T, k * (m + 1 + N)]``; the others are views of it.
        encoder: W1. Shape ``[T, k, m]``.
        bias: b. Shape ``[T, k]``.
        decoder: W2, transposed. Shape ``[T, k, N]``.
    """

    flat: Tensor
    encoder: Tensor
    bias: Tensor
    decoder: Tensor

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """W1, b and W2, the tensors that have a trust ratio each."""
        return self.encoder, self.bias, self.decoder

    def rows(self, kept: list[int]) -> "Weights":
        """A copy of some of the networks."""
        return split(self.flat[kept], self.encoder.shape[1], self.encoder.shape[2])


def split(flat: Tensor, width: int, num_inputs: int) -> Weights:
    """See a flat array ``[T, k * (m + 1 + N)]`` as weights; nothing is copied."""
    num_networks, size = flat.shape
    encoder_end = width * num_inputs
    bias_end = encoder_end + width
    num_outputs = (size - bias_end) // width
    return Weights(
        flat=flat,
        encoder=flat[:, :encoder_end].view(num_networks, width, num_inputs),
        bias=flat[:, encoder_end:bias_end],
        decoder=flat[:, bias_end:].view(num_networks, width, num_outputs),
    )


def num_weights(width: int, num_inputs: int, num_outputs: int) -> int:
    """Numbers in one network of a (padded) width."""
    return width * (num_inputs + 1 + num_outputs)


def initial_weights(
    seed: int, num_neurons: int, num_inputs: int, num_outputs: int, initial_bias: float
) -> Weights:
    """One network at the start: uniform ``+-1/sqrt(fan_in)``, ``initial_bias`` added to b.

    Members of one seed share the noise: a narrower network begins with the first rows of a wider
    one's, before the fan-in of W2 scales them. Padded neurons are zero.

    Returns:
        Weights of one network, T = 1, of padded width.
    """

    def noise(stream: Stream, *shape: int) -> Tensor:
        uniform = generator(seed, stream).random(shape, dtype=np.float32)
        return torch.from_numpy(uniform).mul_(2).sub_(1)

    width = padded_width(num_neurons)
    flat = torch.zeros(1, num_weights(width, num_inputs, num_outputs))
    weights = split(flat, width, num_inputs)
    real = slice(0, num_neurons)
    weights.encoder[0, real] = noise(Stream.ENCODER, num_neurons, num_inputs) / num_inputs**0.5
    weights.bias[0, real] = noise(Stream.BIAS, num_neurons) / num_inputs**0.5 + initial_bias
    weights.decoder[0, real] = noise(Stream.DECODER, num_neurons, num_outputs) / num_neurons**0.5
    return weights


@dataclass(frozen=True, eq=False)
class Activations:
    """Buffers of one forward and backward pass.

    Attributes:
        pre: Before the nonlinearity. Shape ``[T, B, k]``.
        hidden: After it; the same memory as ``pre`` where the nonlinearity allows.
        grad: Gradient before or after it. Shape ``[T, B, k]``.
        error: Outputs, then outputs minus targets, then their gradient. Shape ``[T, B, N]``.
        error32: Outputs minus targets in float32; the same memory where ``error`` is.
    """

    pre: Tensor
    hidden: Tensor
    grad: Tensor
    error: Tensor
    error32: Tensor


def empty_activations(like: Weights, batch_size: int, nonlinearity: Nonlinearity) -> Activations:
    """Buffers for networks shaped like ``like``, on its device and in its dtype."""
    num_networks, width, num_outputs = like.decoder.shape
    hidden_shape = (num_networks, batch_size, width)
    pre = like.flat.new_empty(hidden_shape)
    error = like.flat.new_empty((num_networks, batch_size, num_outputs))
    return Activations(
        pre=pre,
        hidden=pre if nonlinearity.in_place else torch.empty_like(pre),
        grad=torch.empty_like(pre),
        error=error,
        error32=error if error.dtype == torch.float32 else error.float(),
    )


def _product(left: Tensor, right: Tensor, out: Tensor, bias: Tensor | None = None) -> Tensor:
    """Matrix product of each network, plus a row ``bias [T, k]``, written to ``out``."""
    if len(out) > 1:
        if bias is None:
            return torch.bmm(left, right, out=out)
        return torch.baddbmm(bias.unsqueeze(1), left, right, out=out)
    # A tenth faster than a batch of one.
    if bias is None:
        torch.mm(left[0], right[0], out=out[0])
    else:
        torch.addmm(bias[0], left[0], right[0], out=out[0])
    return out


def forward_(
    weights: Weights, inputs: Tensor, nonlinearity: Nonlinearity, work: Activations
) -> Tensor:
    """Outputs of every network, written to ``work.error``.

    Args:
        weights: The networks.
        inputs: Shared by the networks. Shape ``[B, m]``.
        nonlinearity: act.
        work: Buffers, overwritten; ``pre`` and ``hidden`` are what ``gradients_`` needs.

    Returns:
        ``work.error``, the outputs. Shape ``[T, B, N]``.
    """
    shared = inputs.expand(len(weights.flat), *inputs.shape)
    _product(shared, weights.encoder.mT, work.pre, weights.bias)
    nonlinearity.apply(work.pre, work.hidden)
    return _product(work.hidden, weights.decoder, work.error)


def subtract_targets_(outputs: Tensor, positions: Tensor, values: Tensor) -> Tensor:
    """Subtract sparse targets from ``[T, B, N]`` in place; the dense target is never built."""
    for network in outputs:
        # One axis: index_add_ over the second of two is ten times slower.
        network.view(-1).index_add_(0, positions, values, alpha=-1)
    return outputs


def squared_error(work: Activations) -> Tensor:
    """Squared error of each network, summed over outputs, averaged over the batch.

    Sums are in float32, one network at a time, so that none depends on how many there are.

    Args:
        work: Buffers whose ``error`` is outputs minus targets; ``error32`` is overwritten.

    Returns:
        Shape ``[T]``, float32.
    """
    if work.error32 is not work.error:
        work.error32.copy_(work.error)
    norms = [torch.linalg.vector_norm(network) for network in work.error32]
    return torch.stack(norms).square_().div_(work.error.shape[1])


def gradients_(
    weights: Weights,
    inputs: Tensor,
    nonlinearity: Nonlinearity,
    work: Activations,
    *,
    l1: Tensor | None,
    gradient: Weights,
) -> None:
    """Gradient of ``squared_error + l1 * sum(abs(hidden)) / B``, written to ``gradient``.

    Args:
        weights: The networks ``forward_`` ran.
        inputs: Shape ``[B, m]``.
        nonlinearity: act.
        work: What ``forward_`` left, the targets subtracted from ``error``; overwritten.
        l1: Weight of the penalty in each network, ``[T]``, or None where all are zero.
        gradient: Where the result goes, in the dtype of ``weights``.
    """
    batch_size = len(inputs)
    work.error.mul_(2 / batch_size)
    _product(work.hidden.mT, work.error, gradient.decoder)
    _product(work.error, weights.decoder.mT, work.grad)
    if l1 is not None:
        penalty = (l1 / batch_size).to(work.grad.dtype).view(-1, 1, 1)
        work.grad.add_(torch.sign(work.hidden).mul_(penalty))
    nonlinearity.scale_(work.grad, work.pre, work.hidden)
    shared = inputs.expand(len(weights.flat), *inputs.shape)
    _product(work.grad.mT, shared, gradient.encoder)
    torch.sum(work.grad, dim=1, out=gradient.bias)
