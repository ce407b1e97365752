"""Matrix products into buffers, by whichever of torch's libraries is fastest for their numbers.

Dimensions: T networks in a tile, B samples, m inputs, k neurons, padded.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Products(NamedTuple):
    """The two products that passes are made of; both write to ``out``.

    Operands have a leading axis of T networks, or none of them has it.

    Attributes:
        affine: ``affine(inputs, encoder_t, bias, out)``: ``inputs @ encoder_t + bias``, with shapes
            ``[B, m]``, ``[m, k]`` and ``[1, k]``.
        scaled: ``scaled(left, right, scale, out)``: ``scale * left @ right``.
    """

    affine: Callable[[Tensor, Tensor, Tensor, Tensor], None]
    scaled: Callable[[Tensor, Tensor, float, Tensor], None]


def _one_affine(inputs: Tensor, encoder_t: Tensor, bias: Tensor, out: Tensor) -> None:
    torch.addmm(bias, inputs, encoder_t, out=out)


def _one_scaled(left: Tensor, right: Tensor, scale: float, out: Tensor) -> None:
    torch.addmm(out, left, right, beta=0, alpha=scale, out=out)


def _batch_affine(inputs: Tensor, encoder_t: Tensor, bias: Tensor, out: Tensor) -> None:
    torch.baddbmm(bias, inputs, encoder_t, out=out)


def _batch_scaled(left: Tensor, right: Tensor, scale: float, out: Tensor) -> None:
    torch.baddbmm(out, left, right, beta=0, alpha=scale, out=out)


def _onednn_affine(inputs: Tensor, encoder_t: Tensor, bias: Tensor, out: Tensor) -> None:
    out.copy_(_linear(inputs, encoder_t.T, bias[0]))


def _onednn_scaled(left: Tensor, right: Tensor, scale: float, out: Tensor) -> None:
    torch.mul(_linear(left, right.T, None), scale, out=out)


def _linear(inputs: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
    """``inputs @ weights.T + bias`` by oneDNN, in an array of its own."""
    outputs: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weights, bias, "none", [], "")
    return outputs


_ONE = Products(_one_affine, _one_scaled)
_BATCH = Products(_batch_affine, _batch_scaled)
_ONEDNN = Products(_onednn_affine, _onednn_scaled)


def products(num_networks: int, dtype: torch.dtype, device: torch.device) -> Products:
    """The fastest products here of so many networks.

    Products of matrices are a tenth faster than those of a batch of one. In bfloat16 torch's own
    are oneDNN's; in float32 they are another library's, which reaches half of oneDNN's speed on
    processors of another make than its own.

    Args:
        num_networks: T. Of one the operands have no leading axis.
        dtype: Of all operands.
        device: Where they are.
    """
    if num_networks > 1:
        return _BATCH
    if dtype == torch.float32 and device.type == "cpu" and _has_onednn():
        return _ONEDNN
    return _ONE


def _has_onednn() -> bool:
    compiled = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return compiled and hasattr(torch.ops.mkldnn, "_linear_pointwise")
