"""Passes through active neurons beside passes by whole matrices, which autograd has judged."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers import Member, Task, TrainingSettings, advance, begin, outcomes
from trainers.model import NONLINEARITIES, Weights, initial_weights, split
from trainers.passes.dense import DensePasses
from trainers.passes.sparse import SparsePasses
from trainers.sizes import AT_A_TIME, NUM_LANES, WIDTH_MULTIPLE, list_stride

RELU = NONLINEARITIES["relu"]


def drawn(num_neurons: int, num_inputs: int, num_outputs: int, bias: float) -> Weights:
    return initial_weights(0, num_neurons, num_inputs, num_outputs, bias)


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def passed(passes, weights, inputs, targets, half_l1=None):
    """Outputs, and the gradient of one step, as arrays."""
    outputs = passes.forward_(inputs).clone()
    passes.error.sub_(targets)
    gradient = split(torch.full_like(weights.flat, 9.0), *weights.encoder.shape[1:])
    passes.gradients_(inputs, gradient, half_l1)
    return outputs.numpy(), gradient.flat.numpy()


@settings(max_examples=40, deadline=None)
@given(
    # Neurons, inputs, outputs.
    sizes=st.tuples(st.integers(1, 200), st.sampled_from([16, 48]), st.sampled_from([64, 192])),
    # The last is more than are passed at a time.
    batch_size=st.integers(1, 40) | st.just(600),
    # From all silent, over few active ones, to all active.
    bias=st.sampled_from([-9.0, -1.0, 0.0, 9.0]),
    l1=st.sampled_from([None, 0.3]),
)
def test_they_pass_as_whole_products_do(sizes, batch_size, bias, l1):
    _, num_inputs, num_outputs = sizes
    weights = drawn(*sizes, bias)
    inputs, targets = numbers(batch_size, num_inputs), numbers(batch_size, num_outputs)
    half_l1 = None if l1 is None else torch.tensor([[[l1 / 2]]])
    ours = SparsePasses(weights, batch_size, is_trained=True)
    theirs = DensePasses(weights, RELU, batch_size)
    for found, expected in zip(
        passed(ours, weights, inputs, targets, half_l1),
        passed(theirs, weights, inputs, targets, half_l1),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_fewer_active_neurons_after_more_leave_nothing_behind():
    weights = drawn(100, 16, 64, 0.0)
    inputs, targets = numbers(8, 16), numbers(8, 64)
    again = SparsePasses(weights, 8, is_trained=True)
    passed(again, weights, inputs + 1, targets)
    fresh = SparsePasses(weights, 8, is_trained=True)
    for found, expected in zip(
        passed(again, weights, inputs, targets),
        passed(fresh, weights, inputs, targets),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)


def test_other_weights_are_read_in_place():
    weights, others = drawn(100, 16, 64, 0.0), drawn(100, 16, 64, 0.5)
    inputs = numbers(8, 16)
    passes = SparsePasses(weights, 8, is_trained=False)
    passes.read_(others)
    found = passes.forward_(inputs).clone()
    expected = SparsePasses(others, 8, is_trained=False).forward_(inputs)
    assert torch.equal(found, expected)
    others.decoder.mul_(2)
    assert torch.equal(passes.forward_(inputs), 2 * found)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
@pytest.mark.parametrize("tensor", ["encoder", "bias", "decoder"])
def test_a_number_that_is_none_shows_in_the_loss(wrong, tensor):
    """A silent neuron would hide it, and the network never be called diverged."""
    weights = drawn(100, 16, 64, 1.0)
    getattr(weights, tensor)[0, 7] = wrong
    passes = SparsePasses(weights, 8, is_trained=False)
    norm = torch.empty(1)
    passes.forward_(numbers(8, 16).abs())
    passes.error_norms_(norm)
    assert not norm.isfinite()


@pytest.mark.parametrize("sizes", [(64, 24, 64), (64, 16, 96), (96, 16, 64)])
def test_what_the_kernels_cannot_take_is_refused(sizes):
    """They would write beyond the ends of arrays."""
    width, num_inputs, num_outputs = sizes
    weights = split(torch.zeros(1, width * (num_inputs + 1 + num_outputs)), width, num_inputs)
    with pytest.raises(ValueError, match=re.escape(f"found {sizes}. Take DensePasses")):
        SparsePasses(weights, 8, is_trained=True)


def test_padded_widths_are_whole_blocks_of_neurons():
    assert WIDTH_MULTIPLE % AT_A_TIME == 0


@pytest.mark.parametrize("batch_size", [1, 32, 240, 256, 496, 2048])
def test_lists_lie_an_odd_number_of_lines_apart_and_hold_a_batch(batch_size):
    lines, rest = divmod(list_stride(batch_size), NUM_LANES)
    assert rest == 0
    assert lines % 2 == 1
    assert batch_size <= list_stride(batch_size) <= batch_size + 2 * NUM_LANES


NOT_AS_THEY_MUST_LIE = [
    numbers(8, 32),
    numbers(7, 16),
    numbers(8, 16).double(),
    numbers(16, 8).T,
    numbers(8, 32)[:, ::2],
    numbers(8, 16).to("meta"),
]


@pytest.mark.parametrize("inputs", NOT_AS_THEY_MUST_LIE)
def test_inputs_that_lie_otherwise_are_refused(inputs):
    """An address says nothing of what is there."""
    weights = drawn(64, 16, 64, 0.0)
    passes = SparsePasses(weights, 8, is_trained=True)
    with pytest.raises(ValueError, match=re.escape("of shape (8, 16) and contiguous, found")):
        passes.forward_(inputs)
    with pytest.raises(ValueError, match=re.escape("of shape (8, 16) and contiguous, found")):
        passes.gradients_(inputs, drawn(64, 16, 64, 0.0), None)


OTHERS = {
    "wider": drawn(128, 16, 64, 0.0),
    "of more outputs": drawn(64, 16, 128, 0.0),
    "of more inputs": drawn(64, 32, 64, 0.0),
    "double": split(drawn(64, 16, 64, 0.0).flat.double(), 64, 16),
    "two": split(drawn(64, 16, 64, 0.0).flat.repeat(2, 1), 64, 16),
}


@pytest.mark.parametrize("others", OTHERS.values(), ids=OTHERS)
def test_weights_and_gradients_of_another_shape_or_kind_are_refused(others):
    passes = SparsePasses(drawn(64, 16, 64, 0.0), 8, is_trained=True)
    with pytest.raises(ValueError, match="An array must be float32"):
        passes.read_(others)
    with pytest.raises(ValueError, match="An array must be float32"):
        passes.gradients_(numbers(8, 16), others, None)


@pytest.mark.parametrize("others", [OTHERS["double"], OTHERS["two"]])
def test_passes_are_made_for_one_network_in_float32(others):
    with pytest.raises(ValueError, match="An array must be float32"):
        SparsePasses(others, 8, is_trained=False)


def test_more_pairs_than_can_be_counted_are_refused():
    width = 2**22
    weights = split(torch.empty(1, width * (16 + 1 + 64), device="meta"), width, 16)
    with pytest.raises(ValueError, match=re.escape("must be 2147483647 or fewer, found 4194304")):
        SparsePasses(weights, 512, is_trained=False)


def test_buffers_are_as_the_kernels_write_them_whatever_tensors_are_by_default():
    weights = drawn(64, 16, 64, 0.0)
    torch.set_default_dtype(torch.bfloat16)
    try:
        passes = SparsePasses(weights, 8, is_trained=True)
    finally:
        torch.set_default_dtype(torch.float32)
    buffers = *passes._found, *passes._active, passes._partials, *passes._decoder_tiles
    assert {array.dtype for array in buffers} == {torch.float32, torch.int32}


def test_gradients_before_any_outputs_are_zero():
    """Nobody is active yet; what lists hold is not looked at."""
    weights = drawn(64, 16, 64, 0.0)
    gradient = split(torch.full_like(weights.flat, 9.0), 64, 16)
    SparsePasses(weights, 8, is_trained=True).gradients_(numbers(8, 16), gradient, None)
    assert not gradient.flat.any()


def test_gradients_that_were_not_asked_for_are_refused():
    weights = drawn(64, 16, 64, 0.0)
    passes = SparsePasses(weights, 8, is_trained=False)
    with pytest.raises(ValueError, match="must be made with is_trained"):
        passes.gradients_(numbers(8, 16), weights, None)


def test_a_silent_neuron_that_is_no_number_ends_its_network():
    """The loss says nothing of it; a product by zero would."""
    task = Task(kind="feature_decoder", num_features=64, num_inputs=16, feature_density=0.1)
    shared = TrainingSettings(num_steps=2, batch_size=8)
    member = Member(seed=0, num_neurons=512, learning_rate=0.01, initial_bias=-9.0)
    state = begin(task, shared, [member])
    state.tiles[0].weights.decoder[0, 7, 3] = float("inf")
    (outcome,) = outcomes(advance(state, 2))
    assert outcome.reason == "held-out loss is not finite at step 2"


def test_padded_neurons_get_no_gradient_and_another_gradient_is_written():
    weights = drawn(50, 16, 64, 0.5)
    inputs, targets = numbers(8, 16), numbers(8, 64)
    passes = SparsePasses(weights, 8, is_trained=True)
    _, first = passed(passes, weights, inputs, targets)
    _, second = passed(passes, weights, inputs, targets)
    np.testing.assert_array_equal(second, first)
    for tensor in split(torch.from_numpy(second), 64, 16).tensors:
        assert not tensor[:, 50:].any()
        assert tensor[:, :50].any()
