"""What each operation on sixteen numbers does, beside numpy's."""

import numpy as np
import pytest
from numba import njit

from trainers.passes.lanes import (
    NUM_LANES,
    above_zero,
    add_product,
    get,
    load,
    lowest,
    put,
    spread,
    store,
    sum_of,
)

# Not a multiple of the lanes: rows begin anywhere in memory.
SHAPE = 3, 2 * NUM_LANES + 5


@njit
def copied(source, row, column, target):
    store(target, row, column, load(source, row, column))


@njit
def total(source, row, column):
    return sum_of(load(source, row, column))


@njit
def added(totals, left, right):
    store(totals, 1, 3, add_product(load(totals, 1, 3), spread(left), load(right, 1, 3)))


@njit
def above(source, row, column):
    return above_zero(load(source, row, column))


@njit
def lowest_of(bits):
    return lowest(bits)


@njit
def moved(source, place, target, its_place):
    put(target, its_place, get(source, place))


@pytest.fixture
def numbers():
    return np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 7), (2, NUM_LANES + 5)])
def test_sixteen_numbers_are_loaded_and_stored_and_no_others(numbers, row, column):
    found, expected = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    copied(numbers, row, column, found)
    expected[row, column : column + NUM_LANES] = numbers[row, column : column + NUM_LANES]
    np.testing.assert_array_equal(found, expected)


def test_they_are_summed(numbers):
    expected = numbers[1, 3 : 3 + NUM_LANES].astype(np.float64).sum()
    assert total(numbers, 1, 3) == pytest.approx(expected, rel=1e-5)


def test_a_sum_of_zeros_without_sign_has_none():
    assert not np.signbit(total(np.zeros(SHAPE, np.float32), 0, 0))


def test_a_product_is_added(numbers):
    found, expected = numbers.copy(), numbers.astype(np.float64)
    place = 1, slice(3, 3 + NUM_LANES)
    expected[place] += 0.3 * expected[place]
    added(found, np.float32(0.3), numbers)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_bits_tell_which_are_above_zero_or_no_number(numbers):
    numbers[0, :4] = 0.0, -0.0, np.nan, np.inf
    bits = above(numbers, 0, 0)
    found = [bool(bits >> lane & 1) for lane in range(NUM_LANES)]
    assert found == [False, False, True, True, *(numbers[0, 4:NUM_LANES] > 0)]
    assert bits < 2**NUM_LANES


@pytest.mark.parametrize("bits", [1, 2, 0b1010_0000, 2**16, 2**62, -(2**63)])
def test_the_lowest_bit_has_a_place(bits):
    assert lowest_of(bits) == (bits & -bits).bit_length() - 1


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_a_number_is_got_and_put(kind):
    target = np.zeros(5, kind)
    moved(np.arange(10, 15, dtype=kind), 3, target, 1)
    np.testing.assert_array_equal(target, [0, 13, 0, 0, 0])
