"""Two-layer networks side by side: nonlinearities, weights, how they begin.

``pre = W1 x + b``, ``h = act(pre)``, ``y = W2 h``; no bias on the second layer. W2 is stored
neuron-major (its transpose, ``decoder``), so that every tensor has its neurons on the first axis
after the networks' and a wider network holds a narrower one's rows first.

Dimensions: T networks of one width in a tile, B samples, N outputs, m inputs, k neurons, padded.

Source: Jermyn et al. 2022, section 2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from trainers.features import Stream, generator
from trainers.sizes import num_weights, padded_width


@dataclass(frozen=True)
class Nonlinearity:
    """An activation function and its derivative, both on arrays ``[T, B, k]``.

    It must be 0 at 0, so that padded neurons stay silent.

    Attributes:
        apply: ``apply(pre, out)`` writes ``act(pre)`` to ``out`` and returns it.
        scale_: ``scale_(grad, pre, hidden)`` multiplies ``grad`` by ``act'(pre)`` in place.
        in_place: Whether ``scale_`` needs no ``pre``, so that ``hidden`` may overwrite it.
        view: How ``apply`` and ``scale_`` want to see the arrays; applied once to each buffer.
        is_silent_below_zero: Whether ``act`` and its derivative are 0 there.
        dead_below: A neuron whose largest response is at most this is dead. ReLU is silent or it
            is not; the others answer faintly to everything, and 0.001 is a thousandth of a
            feature's largest value.
    """

    apply: Callable[[Tensor, Tensor], Tensor]
    scale_: Callable[[Tensor, Tensor, Tensor], Tensor]
    in_place: bool = False
    view: Callable[[Tensor], Tensor] = lambda numbers: numbers
    is_silent_below_zero: bool = False
    dead_below: float = 0.001


def _bits(numbers: Tensor) -> Tensor:
    """bfloat16 seen as integers, anything else as it is.

    A bfloat16 is above 0 where its bits are as an integer, and integers are compared four times
    faster. A negative NaN is then below 0: it shows in the loss of the step that made it.
    """
    return numbers.view(torch.int16) if numbers.dtype == torch.bfloat16 else numbers


def _relu(pre: Tensor, out: Tensor) -> Tensor:
    return torch.clamp_min(pre, 0, out=out)


def _relu_scale_(grad: Tensor, pre: Tensor, hidden: Tensor) -> Tensor:
    del pre
    torch.ops.aten.threshold_backward.grad_input(grad, hidden, 0, grad_input=grad)
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
    "relu": Nonlinearity(
        _relu, _relu_scale_, in_place=True, view=_bits, is_silent_below_zero=True, dead_below=0.0
    ),
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

    @cached_property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """W1, b and W2, the tensors that have a trust ratio each."""
        return self.encoder, self.bias, self.decoder

    @cached_property
    def rows_of_tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """W1, b and W2 with a row for each network, ``[T, numbers]``; views."""
        return self.encoder.flatten(1), self.bias, self.decoder.flatten(1)

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
