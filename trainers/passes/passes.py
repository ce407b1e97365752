"""What every way to pass through networks has in common: outputs, targets, norms.

Dimensions: T networks of one width in a tile, B samples, N outputs, m inputs, k neurons, padded.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from trainers.model import Weights


class Passes(ABC):
    """Forward and backward passes of T networks through one set of buffers.

    A pass reads ``weights`` as they are when it is called. All views are made when they are given:
    made anew in each step they would take a tenth of a small network's time.

    Args:
        weights: The networks, in the dtype of the products.
        batch_size: Samples in a pass, B.

    Attributes:
        error: Outputs, and after the targets are subtracted the errors. Shape ``[T, B, N]``.

    Source: Jermyn et al. 2022, section 2.
    """

    def __init__(self, weights: Weights, batch_size: int) -> None:
        num_networks, _, num_outputs = weights.decoder.shape
        self.error = weights.flat.new_empty((num_networks, batch_size, num_outputs))
        self._num_networks = num_networks
        self._flat_error = self.error.flatten(1)
        self._error32 = self.error if self.error.dtype == torch.float32 else self.error.float()
        self._flat_error32 = self._error32.flatten(1)
        self.read_(weights)

    @abstractmethod
    def read_(self, weights: Weights) -> None:
        """Pass through other networks of the same shape from here on.

        Args:
            weights: The networks, of the dtype and on the device of those before.
        """

    @abstractmethod
    def forward_(self, inputs: Tensor) -> Tensor:
        """Outputs of every network, written to ``error``.

        Args:
            inputs: Shared by the networks. Shape ``[B, m]``.

        Returns:
            ``error``, the outputs. Shape ``[T, B, N]``.
        """

    def subtract_sparse_(self, positions: Tensor, values: Tensor) -> None:
        """Subtract sparse targets from ``error``; the dense ones are never built.

        Args:
            positions: Places of the non-zero targets in a flattened ``[B, N]``.
            values: The targets there.
        """
        if self._num_networks == 1:
            # One axis: on a processor index_add_ over the second of two is ten times slower.
            self._flat_error[0].index_add_(0, positions, values, alpha=-1)
        else:
            each = values.expand(self._num_networks, -1)
            self._flat_error.index_add_(1, positions, each, alpha=-1)

    def error_norms_(self, out: Tensor) -> None:
        """Root of the sum of squares of ``error``, for each network, summed in float32.

        Args:
            out: Where the norms go. Shape ``[T]``, float32.
        """
        if self._error32 is not self.error:
            self._error32.copy_(self.error)
        torch.linalg.vector_norm(self._flat_error32, dim=1, out=out)

    @abstractmethod
    def gradients_(self, inputs: Tensor, gradient: Weights, half_l1: Tensor | None) -> None:
        """Gradient of ``squared_error + l1 * sum(abs(hidden)) / B``, written to ``gradient``.

        ``forward_`` came before, and the targets are subtracted from ``error``.

        Args:
            inputs: Shape ``[B, m]``.
            gradient: Where the result goes, in the dtype of the weights.
            half_l1: Half of l1 in each network, ``[T, 1, 1]``, or None where all are zero.
        """
