"""Which passes are fastest for which networks."""

import torch

from trainers.model import Nonlinearity, Weights
from trainers.passes.dense import DensePasses
from trainers.passes.passes import Passes
from trainers.sizes import suits_sparse_passes


def passes_of(
    weights: Weights, nonlinearity: Nonlinearity, batch_size: int, *, is_trained: bool
) -> Passes:
    """The fastest passes of some networks on their device.

    The choice depends on the networks, their device and ``torch.get_num_threads()``, never on the
    batch: what trains a network and what evaluates it agree where they use the same numbers.

    Args:
        weights: The networks, in the dtype of the products.
        nonlinearity: act.
        batch_size: Samples in a pass, B.
        is_trained: Whether gradients will be asked for.
    """
    if is_sparse(weights, nonlinearity):
        # Its kernels may have to be compiled, which small networks need not wait for.
        from trainers.passes.sparse import SparsePasses  # noqa: PLC0415

        return SparsePasses(weights, batch_size, is_trained=is_trained)
    return DensePasses(weights, nonlinearity, batch_size)


def is_sparse(weights: Weights, nonlinearity: Nonlinearity) -> bool:
    """Whether networks are better passed through by their active neurons alone.

    Args:
        weights: The networks, in the dtype of the products.
        nonlinearity: act.
    """
    num_networks, width, num_outputs = weights.decoder.shape
    return (
        nonlinearity.is_silent_below_zero
        and weights.flat.device.type == "cpu"
        and weights.flat.dtype == torch.float32
        and num_networks == 1
        and suits_sparse_passes(width, weights.encoder.shape[2], num_outputs)
        # Whole products are made by all threads, the kernels run on one.
        and torch.get_num_threads() == 1
    )
