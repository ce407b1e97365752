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
from trainers.sizes import INPUTS_MULTIPLE, OUTPUTS_MULTIPLE


class SparsePasses(Passes):
    """Passes of one ReLU network, in float32 and on one thread; see ``Passes``.

    Of the five products of a step only the one by the encoder, which has the fewest numbers, is
    made whole.

    Args:
        weights: The network, T = 1, float32, on a processor.
        batch_size: Samples in a pass, B.
        is_trained: Whether gradients will be asked for.

    Raises:
        ValueError: If the kernels cannot take so many inputs or outputs.
    """

    def __init__(self, weights: Weights, batch_size: int, *, is_trained: bool) -> None:
        super().__init__(weights, batch_size)
        _, width, num_outputs = weights.decoder.shape
        num_inputs = weights.encoder.shape[2]
        # They write so many at a time, wherever an array ends.
        if num_inputs % INPUTS_MULTIPLE or num_outputs % OUTPUTS_MULTIPLE:
            raise ValueError(
                f"Inputs and outputs must be multiples of {INPUTS_MULTIPLE} and "
                f"{OUTPUTS_MULTIPLE}, found {num_inputs} and {num_outputs}. Take DensePasses."
            )
        self._pre = weights.flat.new_empty((batch_size, width))
        self._pre_numbers, self._error = self._pre.numpy(), self.error[0].numpy()
        self._is_listed = is_trained
        self._found = np.empty(kernels.NEURONS_AT_A_TIME, np.int32)
        num_listed = batch_size if is_trained else 0
        self._active = (
            np.empty((width, num_listed), np.int32),
            np.empty((width, num_listed), np.float32),
            np.zeros(width, np.int32),
        )
        self._scale = np.float32(2 / batch_size)
        self._partials = np.empty((num_listed, NUM_LANES), np.float32)
        self._gradient: Weights | None = None
        self._gradient_numbers: tuple[NDArray[np.float32], ...] = ()

    def read_(self, weights: Weights) -> None:
        """See ``Passes.read_``."""
        self._encoder_t, self._bias = weights.encoder[0].T, weights.bias
        self._decoder = weights.decoder[0].numpy()

    def forward_(self, inputs: Tensor) -> Tensor:
        """See ``Passes.forward_``."""
        if len(inputs) != len(self._pre):
            message = f"A batch must have {len(self._pre)} samples, found {len(inputs)}."
            raise ValueError(message)
        torch.addmm(self._bias, inputs, self._encoder_t, out=self._pre)
        kernels.forward(
            self._pre_numbers,
            self._decoder,
            self._is_listed,
            self._found,
            *self._active,
            self._error,
        )
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
