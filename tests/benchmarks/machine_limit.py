"""What a training step by whole products cannot be faster than on this machine, by measurement.

Passes through active neurons alone may be.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from service.machine import has_bfloat16_products


@dataclass(frozen=True)
class Sizes:
    """Features N, inputs m, neurons k and samples in a batch."""

    num_features: int
    num_inputs: int
    num_neurons: int
    batch_size: int

    @property
    def num_weights(self) -> int:
        """Parameters of one network."""
        return self.num_neurons * (self.num_inputs + 1 + self.num_features)

    @property
    def operations(self) -> float:
        """Multiplications and additions in the five products of a step."""
        large = self.batch_size * self.num_neurons * self.num_features
        small = self.batch_size * self.num_neurons * self.num_inputs
        return 2.0 * (3 * large + 2 * small)

    def __str__(self) -> str:
        """Such as ``256/32/512/256``."""
        return f"{self.num_features}/{self.num_inputs}/{self.num_neurons}/{self.batch_size}"


def precisions() -> tuple[str, ...]:
    """What this machine multiplies matrices in, the quickest first."""
    return ("bfloat16", "float32") if has_bfloat16_products() else ("float32",)


def fastest(work: Callable[[], object], seconds: float) -> float:
    """The shortest time that one call took while the clock ran, after one call to warm up."""
    work()
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def products_s(sizes: Sizes, dtype: torch.dtype, seconds: float) -> float:
    """Seconds for the five products of one step and nothing else, by the faster library."""

    def matrix(*shape: int) -> torch.Tensor:
        return torch.randn(shape).to(dtype)

    inputs = matrix(sizes.batch_size, sizes.num_inputs)
    encoder = matrix(sizes.num_neurons, sizes.num_inputs)
    decoder = matrix(sizes.num_neurons, sizes.num_features)
    hidden = matrix(sizes.batch_size, sizes.num_neurons)
    error = matrix(sizes.batch_size, sizes.num_features)
    grad, d_encoder, d_decoder = map(torch.empty_like, (hidden, encoder, decoder))

    def by_torch() -> None:
        torch.mm(inputs, encoder.T, out=grad)
        torch.mm(hidden, decoder, out=error)
        torch.mm(hidden.T, error, out=d_decoder)
        torch.mm(error, decoder.T, out=grad)
        torch.mm(grad.T, inputs, out=d_encoder)

    def linear(left: torch.Tensor, right_t: torch.Tensor) -> None:
        torch.ops.mkldnn._linear_pointwise(left, right_t, None, "none", [], "")

    def by_onednn() -> None:
        linear(inputs, encoder)
        linear(hidden, decoder.T)
        linear(hidden.T, error.T)
        linear(error, decoder)
        linear(grad.T, inputs.T)

    ways = [by_torch]
    if torch.backends.mkldnn.is_available():
        ways.append(by_onednn)
    return min(fastest(way, seconds / len(ways)) for way in ways)


def memory_pass_s(sizes: Sizes, seconds: float) -> float:
    """Seconds to read and write weights and both moments once, in float32."""
    state = torch.randn(3 * sizes.num_weights)
    return fastest(lambda: state.mul_(1.0), seconds)


def limit(sizes: Sizes, seconds: float) -> dict[str, float]:
    """Rates of the machine at these sizes, and the least time for a step in its quickest."""
    times = {name: products_s(sizes, getattr(torch, name), seconds) for name in precisions()}
    one_pass, quickest = memory_pass_s(sizes, seconds), times[precisions()[0]]
    return {
        **{f"{name}_gflops": sizes.operations / taken / 1e9 for name, taken in times.items()},
        "memory_gb_s": 2 * 4 * 3 * sizes.num_weights / one_pass / 1e9,
        "products_s": quickest,
        "memory_pass_s": one_pass,
        "limit_s": quickest + one_pass,
    }
