"""What the kernels keep between the two passes; what comes out, ``test_sparse`` compares.

Behind each array that is written lie numbers that nobody may touch: kernels are told where arrays
begin, not where they end.
"""

from contextlib import contextmanager

import numpy as np
import pytest

from trainers.passes.compiled import kernels
from trainers.sizes import AT_A_TIME, NUM_LANES, NUM_SUMS

NUM_OUTPUTS = 2 * AT_A_TIME
ROW_STRIDE = NUM_LANES
GUARD, NUM_GUARDS = 77, 64


@contextmanager
def guarded():
    """Makes arrays, each filled with a number; at the end nothing behind them is touched."""
    made = []

    def array(kind, number, *shape):
        size = int(np.prod(shape))
        made.append((np.full(size + NUM_GUARDS, GUARD, kind), size))
        numbers = made[-1][0][:size].reshape(shape)
        numbers[...] = number
        return numbers

    yield array
    for numbers, size in made:
        np.testing.assert_array_equal(numbers[size:], GUARD)


def addresses(*arrays):
    """Of whole arrays of the kernels' kinds."""
    assert all(array.flags.c_contiguous for array in arrays)
    assert {array.dtype for array in arrays} <= {np.dtype(np.float32), np.dtype(np.int32)}
    return [array.ctypes.data for array in arrays]


def forward(pre, *, is_listed=True, at_a_time=None):
    """Samples, hidden numbers and counts of each neuron, and the outputs.

    The one input that is not zero picks a sample's row of the encoder, which ``pre`` is.
    """
    num_samples, num_neurons = pre.shape
    at_a_time = at_a_time or num_samples
    inputs = np.eye(num_samples, NUM_LANES, dtype=np.float32)
    encoder = np.zeros((num_neurons, NUM_LANES), np.float32)
    encoder[:, :num_samples] = pre.T
    bias, decoder = np.zeros(num_neurons, np.float32), np.ones((num_neurons, NUM_OUTPUTS), "f4")
    with guarded() as array:
        found = (
            array(np.int32, 0, at_a_time * num_neurons),
            array(np.float32, 0, at_a_time * num_neurons),
            array(np.int32, 0, at_a_time * num_neurons // AT_A_TIME),
        )
        active = (
            array(np.int32, -1, num_neurons, ROW_STRIDE),
            array(np.float32, np.nan, num_neurons, ROW_STRIDE),
            array(np.int32, 0, num_neurons),
        )
        encoder_tile, *decoder_tiles = (
            array(np.float32, 0, rows, AT_A_TIME) for rows in (NUM_LANES + 2, AT_A_TIME, at_a_time)
        )
        outputs = array(np.float32, np.nan, num_samples, NUM_OUTPUTS)
        for first in range(0, num_samples, at_a_time):
            some = slice(first, first + at_a_time)
            num_some = len(inputs[some])
            kernels().find_active(
                *(num_some, NUM_LANES, num_neurons, ROW_STRIDE, first, is_listed),
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
    shape = 7, 3 * AT_A_TIME
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


# An odd number of samples too: sums are set to zero by twos; and as many as lists take.
@pytest.mark.parametrize("num_samples", [2, 15, 16])
def test_a_neuron_that_is_never_active_has_no_gradient(num_samples):
    """Wherever its place in the lists, which holds what was there before."""
    pre = np.full((num_samples, AT_A_TIME), -1, np.float32)
    pre[:, 1] = 1
    samples, hidden, counts, _ = forward(pre)
    shapes = (AT_A_TIME, NUM_LANES), (AT_A_TIME,), (AT_A_TIME, NUM_OUTPUTS)
    inputs, errors, decoder = (
        np.ones(shape, np.float32)
        for shape in ((num_samples, NUM_LANES), (num_samples, NUM_OUTPUTS), shapes[2])
    )
    with guarded() as array:
        gradient = [array(np.float32, 9, *shape) for shape in shapes]
        partials = array(np.float32, 9, ROW_STRIDE, NUM_SUMS)
        kernels().backward(
            *(NUM_LANES, AT_A_TIME, NUM_OUTPUTS, ROW_STRIDE),
            *addresses(inputs, errors, decoder, samples, hidden, counts),
            *(0.5, 2.0),
            *addresses(partials, *gradient),
        )
    for found, expected in zip(
        gradient,
        # Of each sample: errors of one through 128 weights of one, half of l1 on top, twice that.
        (2 * (NUM_OUTPUTS + 0.5), 2 * (NUM_OUTPUTS + 0.5), 2 * 1.0),
        strict=True,
    ):
        assert not found[0].any()
        np.testing.assert_allclose(found[1], num_samples * expected)
