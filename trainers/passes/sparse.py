"""Passes through the neurons that are active, for one network at a time on a processor.

Dimensions: T = 1 network, B samples, N outputs, m inputs, k neurons, padded.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.model import Weights
from trainers.passes import kernels
from trainers.passes.lanes import NUM_LANES
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
        super().__init__(weights, batch_size)
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
        self._error = self.error[0].numpy()
        self._batch_size, self._is_listed = batch_size, is_trained
        at_a_time = min(batch_size, SAMPLES_AT_A_TIME)
        self._found = (
            np.empty(at_a_time * width, np.int32),
            np.empty(at_a_time * width, np.float32),
            np.empty(at_a_time * width // kernels.AT_A_TIME, np.int32),
        )
        self._encoder_tile = _aligned(num_inputs + 2, kernels.AT_A_TIME)
        self._decoder_tiles = (
            _aligned(width, kernels.AT_A_TIME),
            _aligned(at_a_time, kernels.AT_A_TIME),
        )
        num_listed = batch_size if is_trained else 0
        self._active = (
            np.empty((width, num_listed), np.int32),
            np.empty((width, num_listed), np.float32),
            np.zeros(width, np.int32),
        )
        self._flat_active = tuple(array.reshape(-1) for array in self._active)
        self._scale = np.float32(2 / batch_size)
        self._partials = _aligned(num_listed, NUM_LANES)
        self._gradient: Weights | None = None
        self._gradient_numbers: tuple[NDArray[np.float32], ...] = ()

    def read_(self, weights: Weights) -> None:
        """See ``Passes.read_``."""
        self._encoder, self._bias = weights.encoder[0].numpy(), weights.bias[0].numpy()
        self._decoder = weights.decoder[0].numpy()

    def forward_(self, inputs: Tensor) -> Tensor:
        """See ``Passes.forward_``."""
        if len(inputs) != self._batch_size:
            message = f"A batch must have {self._batch_size} samples, found {len(inputs)}."
            raise ValueError(message)
        numbers = inputs.numpy()
        self._flat_active[2].fill(0)
        for first in range(0, self._batch_size, SAMPLES_AT_A_TIME):
            some = slice(first, first + SAMPLES_AT_A_TIME)
            kernels.find_active(
                numbers[some],
                self._encoder,
                self._bias,
                first,
                self._is_listed,
                self._encoder_tile,
                *self._found,
                *self._flat_active,
            )
            kernels.add_up(*self._found, self._decoder, *self._decoder_tiles, self._error[some])
        return self.error

    def gradients_(self, inputs: Tensor, gradient: Weights, half_l1: Tensor | None) -> None:
        """See ``Passes.gradients_``."""
        if not self._is_listed:
            raise ValueError("Passes must be made with is_trained to give gradients. Say so.")
        kernels.backward(
            inputs.numpy(),
            self._error,
            self._decoder,
            *self._active,
            np.float32(0.0 if half_l1 is None else half_l1.item()),
            self._scale,
            self._partials,
            *self._numbers_of(gradient),
        )

    def _numbers_of(self, gradient: Weights) -> tuple[NDArray[np.float32], ...]:
        """Views of where a gradient goes, made anew only for another one."""
        if gradient is not self._gradient:
            self._gradient = gradient
            self._gradient_numbers = tuple(tensor[0].numpy() for tensor in gradient.tensors)
        return self._gradient_numbers


def _aligned(*shape: int) -> NDArray[np.float32]:
    """An array that begins where a cache line does, as torch's do and numpy's do not."""
    array: NDArray[np.float32] = torch.empty(shape).numpy()
    return array
