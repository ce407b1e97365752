"""Passes by products of whole matrices.

Dimensions: T networks of one width in a tile, B samples, N outputs, m inputs, k neurons, padded.
"""

import torch
from torch import Tensor

from trainers.model import Nonlinearity, Weights
from trainers.passes.passes import Passes
from trainers.passes.products import products


class DensePasses(Passes):
    """Passes of any networks on any device; see ``Passes``.

    Args:
        weights: The networks, in the dtype of the products.
        nonlinearity: act.
        batch_size: Samples in a pass, B.
    """

    def __init__(self, weights: Weights, nonlinearity: Nonlinearity, batch_size: int) -> None:
        num_networks, width, _ = weights.decoder.shape
        pre = weights.flat.new_empty((num_networks, batch_size, width))
        hidden = pre if nonlinearity.in_place else torch.empty_like(pre)
        grad = torch.empty_like(pre)
        self._affine, self._scaled = products(num_networks, pre.dtype, pre.device)
        self._scale = 2 / batch_size
        self._nonlinearity = nonlinearity
        self._pre, self._hidden, self._grad = map(nonlinearity.view, (pre, hidden, grad))
        self._pre_matrix, self._grad_matrix = _matrix(pre), _matrix(grad)
        self._hidden_matrix, self._hidden_t = _matrix(hidden), _matrix(hidden.mT)
        self._grad_t = _matrix(grad.mT)
        self._hidden_numbers, self._grad_numbers = hidden, grad
        super().__init__(weights, batch_size)
        self._error_matrix = _matrix(self.error)

    def read_(self, weights: Weights) -> None:
        """See ``Passes.read_``."""
        self._bias, self._encoder_t = (
            _matrix(weights.bias.unsqueeze(1)),
            _matrix(weights.encoder.mT),
        )
        self._decoder, self._decoder_t = _matrix(weights.decoder), _matrix(weights.decoder.mT)

    def forward_(self, inputs: Tensor) -> Tensor:
        """See ``Passes.forward_``."""
        self._affine(self._shared(inputs), self._encoder_t, self._bias, self._pre_matrix)
        self._nonlinearity.apply(self._pre, self._hidden)
        self._scaled(self._hidden_matrix, self._decoder, 1.0, self._error_matrix)
        return self.error

    def gradients_(self, inputs: Tensor, gradient: Weights, half_l1: Tensor | None) -> None:
        """See ``Passes.gradients_``."""
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
