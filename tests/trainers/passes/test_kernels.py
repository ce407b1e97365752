"""What the kernels keep between the two passes; what comes out, ``test_sparse`` compares."""

import numpy as np
import pytest

from trainers.passes.machine_code import kernels
from trainers.sizes import INPUTS_MULTIPLE, OUTPUTS_MULTIPLE

NUM_OUTPUTS = 2 * OUTPUTS_MULTIPLE


def addresses(*arrays):
    """Of arrays that begin where they do and have no gaps."""
    assert all(array.flags.c_contiguous for array in arrays)
    return [array.ctypes.data for array in arrays]


def forward(pre, *, is_listed=True, at_a_time=None):
    """Samples, hidden numbers and counts of each neuron, and the outputs.

    The one input that is not zero picks a sample's row of the encoder, which ``pre`` is.
    """
    num_samples, num_neurons = pre.shape
    at_a_time = at_a_time or num_samples
    inputs = np.eye(num_samples, INPUTS_MULTIPLE, dtype=np.float32)
    encoder = np.zeros((num_neurons, INPUTS_MULTIPLE), np.float32)
    encoder[:, :num_samples] = pre.T
    found = (
        np.empty(at_a_time * num_neurons, np.int32),
        np.empty(at_a_time * num_neurons, np.float32),
        np.empty(at_a_time * num_neurons // OUTPUTS_MULTIPLE, np.int32),
    )
    active = (
        np.full((num_neurons, num_samples), -1, np.int32),
        np.full((num_neurons, num_samples), np.nan, np.float32),
        np.zeros(num_neurons, np.int32),
    )
    encoder_tile, *decoder_tiles = (
        np.empty((rows, OUTPUTS_MULTIPLE), np.float32)
        for rows in (INPUTS_MULTIPLE + 2, OUTPUTS_MULTIPLE, num_samples)
    )
    bias, decoder = np.zeros(num_neurons, np.float32), np.ones((num_neurons, NUM_OUTPUTS), "f4")
    outputs = np.full((num_samples, NUM_OUTPUTS), np.nan, np.float32)
    for first in range(0, num_samples, at_a_time):
        some = slice(first, first + at_a_time)
        num_some = len(inputs[some])
        kernels().find_active(
            *(num_some, INPUTS_MULTIPLE, num_neurons, num_samples, first, is_listed),
            *addresses(inputs[some], encoder, bias, encoder_tile, *found, *active),
        )
        kernels().add_up(
            *(num_some, num_neurons, NUM_OUTPUTS),
            *addresses(*found, decoder, *decoder_tiles, outputs[some]),
        )
    return *active, outputs


@pytest.fixture
def pre():
    """More neurons than are looked at at a time."""
    shape = 7, 3 * OUTPUTS_MULTIPLE
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("at_a_time", [7, 3])
def test_each_neuron_lists_where_it_is_active_in_order(pre, at_a_time):
    samples, hidden, counts, outputs = forward(pre, at_a_time=at_a_time)
    for neuron, column in enumerate(pre.T):
        (active,) = np.nonzero(column > 0)
        np.testing.assert_array_equal(samples[neuron, : counts[neuron]], active)
        np.testing.assert_array_equal(hidden[neuron, : counts[neuron]], column[active])
    expected = np.maximum(pre, 0).sum(axis=1)
    np.testing.assert_allclose(outputs, np.tile(expected[:, None], NUM_OUTPUTS), rtol=1e-5)


def test_without_gradients_nothing_is_listed(pre):
    samples, _, counts, _ = forward(pre, is_listed=False)
    assert not counts.any()
    assert (samples == -1).all()


def test_zero_is_silent_and_what_is_no_number_is_not(pre):
    pre[:, 0], pre[:, 1] = 0.0, np.nan
    samples, _, counts, outputs = forward(pre)
    assert counts[0] == 0
    np.testing.assert_array_equal(samples[1, : counts[1]], range(len(pre)))
    assert np.isnan(outputs).all()


def test_a_neuron_that_is_never_active_has_no_gradient():
    """Wherever its place in the lists, which holds what was there before."""
    num_neurons = OUTPUTS_MULTIPLE
    pre = np.full((2, num_neurons), -1, np.float32)
    pre[:, 1] = 1
    samples, hidden, counts, _ = forward(pre)
    shapes = (num_neurons, INPUTS_MULTIPLE), num_neurons, (num_neurons, NUM_OUTPUTS)
    gradient = [np.full(shape, 9, np.float32) for shape in shapes]
    inputs, errors, decoder = (
        np.ones(shape, np.float32)
        for shape in ((2, INPUTS_MULTIPLE), (2, NUM_OUTPUTS), (num_neurons, NUM_OUTPUTS))
    )
    partials = np.empty((2, INPUTS_MULTIPLE), np.float32)
    kernels().backward(
        *(INPUTS_MULTIPLE, num_neurons, NUM_OUTPUTS, 2),
        *addresses(inputs, errors, decoder, samples, hidden, counts),
        *(0.5, 2.0),
        *addresses(partials, *gradient),
    )
    for found, expected in zip(
        gradient,
        # Two samples: errors of one through 128 weights of one, half of l1 on top, twice all of it.
        (2 * 2 * (NUM_OUTPUTS + 0.5), 2 * 2 * (NUM_OUTPUTS + 0.5), 2 * 2 * 1.0),
        strict=True,
    ):
        assert not found[0].any()
        np.testing.assert_allclose(found[1], expected)
