"""The forward pass and the closed-form gradients of networks side by side.

Dimensions: T networks of one width in a tile, B samples, N outputs, m inputs, k neurons, padded.

Source: Jermyn et al. 2022, section 2.
"""

import torch
from torch import Tensor

from trainers.model import Nonlinearity, Weights
from trainers.products import products


class Passes:
    """Forward and backward passes of T networks through one set of buffers.

    A pass reads ``weights`` as they are when it is called. All views are made here, once: made
    anew in each step they would take a tenth of a small network's time.

    Args:
        weights: The networks, in the dtype of the products.
        nonlinearity: act.
        batch_size: Samples in a pass, B.
    """

    def __init__(self, weights: Weights, nonlinearity: Nonlinearity, batch_size: int) -> None:
        num_networks, width, num_outputs = weights.decoder.shape
        pre = weights.flat.new_empty((num_networks, batch_size, width))
        hidden = pre if nonlinearity.in_place else torch.empty_like(pre)
        grad = torch.empty_like(pre)
        error = weights.flat.new_empty((num_networks, batch_size, num_outputs))
        self.error = error
        self._num_networks = num_networks
        self._affine, self._scaled = products(num_networks, error.dtype, error.device)
        self._scale = 2 / batch_size
        self._nonlinearity = nonlinearity
        self._pre, self._hidden, self._grad = map(nonlinearity.view, (pre, hidden, grad))
        self._bias, self._encoder_t = (
            _matrix(weights.bias.unsqueeze(1)),
            _matrix(weights.encoder.mT),
        )
        self._decoder, self._decoder_t = _matrix(weights.decoder), _matrix(weights.decoder.mT)
        self._pre_matrix, self._grad_matrix = _matrix(pre), _matrix(grad)
        self._hidden_matrix, self._error_matrix = _matrix(hidden), _matrix(error)
        self._hidden_t, self._grad_t = _matrix(hidden.mT), _matrix(grad.mT)
        self._hidden_numbers, self._grad_numbers = hidden, grad
        self._flat_error = error.flatten(1)
        self._error32 = error if error.dtype == torch.float32 else error.float()
        self._flat_error32 = self._error32.flatten(1)

    def forward_(self, inputs: Tensor) -> Tensor:
        """Outputs of every network, written to ``error``.

        Args:
            inputs: Shared by the networks. Shape ``[B, m]``.

        Returns:
            ``error``, the outputs. Shape ``[T, B, N]``.
        """
        self._affine(self._shared(inputs), self._encoder_t, self._bias, self._pre_matrix)
        self._nonlinearity.apply(self._pre, self._hidden)
        self._scaled(self._hidden_matrix, self._decoder, 1.0, self._error_matrix)
        return self.error

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

    def gradients_(self, inputs: Tensor, gradient: Weights, half_l1: Tensor | None) -> None:
        """Gradient of ``squared_error + l1 * sum(abs(hidden)) / B``, written to ``gradient``.

        ``forward_`` came before, and the targets are subtracted from ``error``.

        Args:
            inputs: Shape ``[B, m]``.
            gradient: Where the result goes, in the dtype of the weights.
            half_l1: Half of l1 in each network, ``[T, 1, 1]``, or None where all are zero.
        """
        # The factor 2 / B of the derivative comes last, with the products of fewest outputs.
        encoder, bias, decoder = gradient.tensors
        self._scaled(self._hidden_t, self._error_matrix, self._scale, _matrix(decoder))
        self._scaled(self._error_matrix, self._decoder_t, 1.0, self._grad_matrix)
        if half_l1 is not None:
            self._grad_numbers.add_(torch.sign(self._hidden_numbers).mul_(half_l1))
        self._nonlinearity.scale_(self._grad, self._pre, self._hidden)
        self._scaled(self._grad_t, self._shared(inputs), self._scale, _matrix(encoder))
        torch.sum(self._grad_numbers, dim=1, out=bias).mul_(self._scale)

    def _shared(self, inputs: Tensor) -> Tensor:
        """The inputs once for each network."""
        if self._num_networks == 1:
            return inputs
        return inputs.expand(self._num_networks, *inputs.shape)


def _matrix(batch: Tensor) -> Tensor:
    """A batch of one as a matrix, as the products want it; others as they are."""
    return batch[0] if len(batch) == 1 else batch
