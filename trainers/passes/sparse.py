"""Passes through the neurons that are active, for one network at a time on a processor.

Dimensions: T = 1 network, B samples, N outputs, m inputs, k neurons, padded.
"""

from functools import partial
from operator import mod

import torch
from torch import Tensor

from trainers.model import Weights
from trainers.passes.compiled import kernels
from trainers.passes.passes import Passes
from trainers.sizes import (
    AT_A_TIME,
    INPUTS_MULTIPLE,
    NUM_SUMS,
    OUTPUTS_MULTIPLE,
    SAMPLES_AT_A_TIME,
    WIDTH_MULTIPLE,
    list_stride,
)

# Pairs are counted in int32.
MOST_PAIRS = 2**31 - 1


class SparsePasses(Passes):
    """Passes of one ReLU network, in float32 and on one thread; see ``Passes``.

    One call at a time: all of them use the same buffers, without Python's lock. Weights are read
    where they were when they were given.

    Of the five products of a step only the one by the encoder, which tells who is active, is made
    whole.

    Args:
        weights: The network, T = 1, float32, on a processor.
        batch_size: Samples in a pass, B.
        is_trained: Whether gradients will be asked for.

    Raises:
        ValueError: If the kernels cannot take so many neurons, inputs or outputs, or weights that
            are not of one network, in float32 and on a processor.
    """

    def __init__(self, weights: Weights, batch_size: int, *, is_trained: bool) -> None:
        _, width, num_outputs = weights.decoder.shape
        num_inputs = weights.encoder.shape[2]
        # They write so many at a time, wherever an array ends.
        multiples = WIDTH_MULTIPLE, INPUTS_MULTIPLE, OUTPUTS_MULTIPLE
        sizes = width, num_inputs, num_outputs
        if any(map(mod, sizes, multiples)):
            raise ValueError(
                f"Neurons, inputs and outputs must be multiples of {multiples}, found {sizes}. "
                "Take DensePasses."
            )
        at_a_time = min(batch_size, SAMPLES_AT_A_TIME)
        if at_a_time * width > MOST_PAIRS:
            raise ValueError(
                f"Neurons times samples at a time must be {MOST_PAIRS} or fewer, found {width} and "
                f"{at_a_time}. Take DensePasses."
            )
        self._batch_size, self._sizes = batch_size, (num_inputs, width, num_outputs)
        super().__init__(weights, batch_size)
        self._kernels = kernels()
        self._stride = list_stride(batch_size) if is_trained else 0
        numbers = partial(torch.empty, dtype=torch.float32, device="cpu")
        places = partial(torch.empty, dtype=torch.int32, device="cpu")
        # Of each pair that is found its neuron and its number, and where those of a block end.
        num_pairs = at_a_time * width
        self._found = places(num_pairs), numbers(num_pairs), places(num_pairs // AT_A_TIME)
        # Of each neuron in which samples it is active, its numbers there, and how many.
        self._counts = places(width).zero_()
        lists = width, self._stride
        self._active = places(lists), numbers(lists), self._counts
        self._encoder_tile = numbers((num_inputs + 2, AT_A_TIME))
        self._decoder_tiles = numbers((AT_A_TIME, AT_A_TIME)), numbers((at_a_time, AT_A_TIME))
        self._scale = 2 / batch_size
        self._partials = numbers((self._stride, NUM_SUMS))

    def read_(self, weights: Weights) -> None:
        """See ``Passes.read_``.

        Raises:
            ValueError: If they are others than the passes were made for.
        """
        encoder, bias, decoder = self._checked(weights)
        self._weights, self._decoder = (encoder, bias), decoder

    def forward_(self, inputs: Tensor) -> Tensor:
        """See ``Passes.forward_``.

        Raises:
            ValueError: If the inputs are not of the batch's shape, or the kernels cannot read them.
        """
        num_inputs, width, num_outputs = self._sizes
        _check(inputs, self._batch_size, num_inputs)
        self._counts.zero_()
        for first in range(0, self._batch_size, SAMPLES_AT_A_TIME):
            some = inputs[first : first + SAMPLES_AT_A_TIME]
            outputs = self.error[0, first : first + SAMPLES_AT_A_TIME]
            self._kernels.find_active(
                *(len(some), num_inputs, width, self._stride, first, self._stride > 0),
                *_addresses(some, *self._weights, self._encoder_tile),
                *_addresses(*self._found, *self._active),
            )
            self._kernels.add_up(
                *(len(some), width, num_outputs),
                *_addresses(*self._found, self._decoder, *self._decoder_tiles, outputs),
            )
        return self.error

    def gradients_(self, inputs: Tensor, gradient: Weights, half_l1: Tensor | None) -> None:
        """See ``Passes.gradients_``.

        Raises:
            ValueError: If the passes were not made for it, the inputs are not of the batch's shape,
                the gradient not of the weights', or either cannot be reached where it is.
        """
        if not self._stride:
            raise ValueError("Passes must be made with is_trained to give gradients. Say so.")
        _check(inputs, self._batch_size, self._sizes[0])
        self._kernels.backward(
            *(*self._sizes, self._stride),
            *_addresses(inputs, self.error, self._decoder, *self._active),
            *(0.0 if half_l1 is None else half_l1.item(), self._scale),
            *_addresses(self._partials, *self._checked(gradient)),
        )

    def _checked(self, weights: Weights) -> tuple[Tensor, Tensor, Tensor]:
        num_inputs, width, num_outputs = self._sizes
        encoder, bias, decoder = weights.tensors
        _check(encoder, 1, width, num_inputs)
        _check(bias, 1, width)
        _check(decoder, 1, width, num_outputs)
        return encoder, bias, decoder


def _check(array: Tensor, *shape: int) -> None:
    """Refuse what is not as the kernels take it, who are only told where it begins."""
    is_readable = array.dtype == torch.float32 and array.device.type == "cpu"
    if array.shape != shape or not (is_readable and array.is_contiguous()):
        raise ValueError(
            f"An array must be float32 on a processor, of shape {shape} and contiguous, found "
            f"{array.dtype} on {array.device}, of shape {tuple(array.shape)} and strides "
            f"{array.stride()}. Bring it there by to() and contiguous(), or take DensePasses."
        )


def _addresses(*arrays: Tensor) -> tuple[int, ...]:
    """Where arrays begin."""
    return tuple(array.data_ptr() for array in arrays)
