"""Passes through the neurons that are active, for one network at a time on a processor.

Dimensions: T = 1 network, B samples, N outputs, m inputs, k neurons, padded.
"""

import torch
from torch import Tensor

from trainers.model import Weights
from trainers.passes.machine_code import kernels
from trainers.passes.passes import Passes
from trainers.sizes import (
    INPUTS_MULTIPLE,
    OUTPUTS_MULTIPLE,
    SAMPLES_AT_A_TIME,
    WIDTH_MULTIPLE,
)


class SparsePasses(Passes):
    """Passes of one ReLU network, in float32 and on one thread; see ``Passes``.

    Of the five products of a step only the one by the encoder, which tells who is active, is made
    whole.

    Args:
        weights: The network, T = 1, float32, on a processor.
        batch_size: Samples in a pass, B.
        is_trained: Whether gradients will be asked for.

    Raises:
        ValueError: If the kernels cannot take so many neurons, inputs or outputs.
    """

    def __init__(self, weights: Weights, batch_size: int, *, is_trained: bool) -> None:
        _, width, num_outputs = weights.decoder.shape
        num_inputs = weights.encoder.shape[2]
        # They write so many at a time, wherever an array ends.
        multiples = WIDTH_MULTIPLE, INPUTS_MULTIPLE, OUTPUTS_MULTIPLE
        sizes = width, num_inputs, num_outputs
        if any(size % multiple for size, multiple in zip(sizes, multiples, strict=True)):
            raise ValueError(
                f"Neurons, inputs and outputs must be multiples of {multiples}, found {sizes}. "
                "Take DensePasses."
            )
        super().__init__(weights, batch_size)
        self._kernels = kernels()
        self._sizes = num_inputs, width, num_outputs
        self._batch_size = batch_size
        # A line more than a batch takes: rows that begin a power of two apart displace each other.
        self._room = batch_size + INPUTS_MULTIPLE if is_trained else 0
        at_a_time = min(batch_size, SAMPLES_AT_A_TIME)
        # Of each pair that is found its neuron and its number, and where those of a block end.
        self._found = (
            torch.empty(at_a_time * width, dtype=torch.int32),
            torch.empty(at_a_time * width),
            torch.empty(at_a_time * width // OUTPUTS_MULTIPLE, dtype=torch.int32),
        )
        # Of each neuron in which samples it is active, its numbers there, and how many.
        self._counts = torch.empty(width, dtype=torch.int32)
        self._active = (
            torch.empty(width, self._room, dtype=torch.int32),
            torch.empty(width, self._room),
            self._counts,
        )
        self._encoder_tile = torch.empty(num_inputs + 2, OUTPUTS_MULTIPLE)
        self._decoder_tiles = (
            torch.empty(OUTPUTS_MULTIPLE, OUTPUTS_MULTIPLE),
            torch.empty(at_a_time, OUTPUTS_MULTIPLE),
        )
        self._scale = 2 / batch_size
        self._partials = torch.empty(self._room, INPUTS_MULTIPLE)

    def read_(self, weights: Weights) -> None:
        """See ``Passes.read_``."""
        self._encoder, self._bias, self._decoder = weights.tensors

    def forward_(self, inputs: Tensor) -> Tensor:
        """See ``Passes.forward_``."""
        num_inputs, width, num_outputs = self._sizes
        expected = self._batch_size, num_inputs
        if inputs.shape != expected or inputs.dtype != torch.float32 or not inputs.is_contiguous():
            raise ValueError(
                f"A batch must be {expected} float32 numbers in rows, found {tuple(inputs.shape)} "
                f"of {inputs.dtype}. Make it so."
            )
        self._counts.zero_()
        for first in range(0, self._batch_size, SAMPLES_AT_A_TIME):
            some = inputs[first : first + SAMPLES_AT_A_TIME]
            outputs = self.error[0, first : first + SAMPLES_AT_A_TIME]
            self._kernels.find_active(
                *(len(some), num_inputs, width, self._room, first, self._room > 0),
                *_addresses(some, self._encoder, self._bias, self._encoder_tile),
                *_addresses(*self._found, *self._active),
            )
            self._kernels.add_up(
                *(len(some), width, num_outputs),
                *_addresses(*self._found, self._decoder, *self._decoder_tiles, outputs),
            )
        return self.error

    def gradients_(self, inputs: Tensor, gradient: Weights, half_l1: Tensor | None) -> None:
        """See ``Passes.gradients_``."""
        if not self._room:
            raise ValueError("Passes must be made with is_trained to give gradients. Say so.")
        self._kernels.backward(
            *(*self._sizes, self._room),
            *_addresses(inputs, self.error, self._decoder, *self._active),
            *(0.0 if half_l1 is None else half_l1.item(), self._scale),
            *_addresses(self._partials, *gradient.tensors),
        )


def _addresses(*arrays: Tensor) -> tuple[int, ...]:
    """Where arrays begin."""
    return tuple(array.data_ptr() for array in arrays)
