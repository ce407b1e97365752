import pytest
import torch

from trainers.model import NONLINEARITIES, split
from trainers.passes.choice import is_sparse, passes_of
from trainers.passes.dense import DensePasses
from trainers.passes.sparse import SparsePasses


def blank(
    num_networks: int = 1,
    width: int = 512,
    num_inputs: int = 32,
    num_outputs: int = 256,
    dtype: torch.dtype = torch.float32,
):
    size = width * (num_inputs + 1 + num_outputs)
    return split(torch.zeros(num_networks, size, dtype=dtype), width, num_inputs)


def test_the_quick_starts_networks_are_passed_by_their_active_neurons():
    for width in range(256, 1025, 64):
        passes = passes_of(blank(width=width), NONLINEARITIES["relu"], 8, is_trained=True)
        assert isinstance(passes, SparsePasses)


@pytest.mark.parametrize(
    "other",
    [
        {"num_networks": 2},
        {"width": 64},  # trained sooner than the kernels are compiled
        {"num_inputs": 24},
        {"num_outputs": 250},
        {"dtype": torch.bfloat16},
    ],
    ids=str,
)
def test_others_are_passed_whole(other):
    assert not is_sparse(blank(**other), NONLINEARITIES["relu"])


@pytest.mark.parametrize("name", ["gelu", "solu"])
def test_nonlinearities_that_are_never_silent_are_passed_whole(name):
    assert isinstance(passes_of(blank(), NONLINEARITIES[name], 8, is_trained=True), DensePasses)


def test_whole_products_use_the_threads_that_there_are():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert not is_sparse(blank(), NONLINEARITIES["relu"])
    finally:
        torch.set_num_threads(before)
