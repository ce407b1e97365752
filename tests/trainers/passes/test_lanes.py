"""What each operation on sixteen numbers does, beside numpy's."""

from ctypes import POINTER, c_float

import numpy as np
import pytest
from numba import cfunc, float32, int64, types, void

from trainers.passes.lanes import (
    above_zero,
    add_product,
    add_products,
    load,
    lowest,
    spread,
    store,
    sum_at,
)
from trainers.sizes import NUM_LANES, NUM_SUMS

NUMBERS = types.CPointer(float32)
NUM_NUMBERS = 3 * NUM_LANES + 5


@cfunc(void(NUMBERS, int64, NUMBERS))
def copied(source, place, target):
    store(target, place, load(source, place))


@cfunc(float32(NUMBERS, int64))
def total(source, place):
    return sum_at(source, place)


@cfunc(void(NUMBERS, float32, NUMBERS))
def added(totals, left, right):
    store(totals, 3, add_product(load(totals, 3), spread(left), load(right, 3)))


@cfunc(void(NUMBERS, int64, NUMBERS, NUMBERS))
def products_added(sums, place, left, right):
    add_products(sums, place, load(left, 3), load(right, 3))


@cfunc(int64(NUMBERS))
def above(source):
    return above_zero(load(source, 0))


@cfunc(int64(int64))
def lowest_of(bits):
    return lowest(bits)


def at(array):
    return array.ctypes.data_as(POINTER(c_float))


@pytest.fixture
def numbers():
    return np.random.default_rng(0).normal(size=NUM_NUMBERS).astype(np.float32)


# Anywhere in memory, not only at multiples of the lanes.
@pytest.mark.parametrize("place", [0, 7, NUM_NUMBERS - NUM_LANES])
def test_sixteen_numbers_are_loaded_and_stored_and_no_others(numbers, place):
    found, expected = np.zeros_like(numbers), np.zeros_like(numbers)
    copied.ctypes(at(numbers), place, at(found))
    expected[place : place + NUM_LANES] = numbers[place : place + NUM_LANES]
    np.testing.assert_array_equal(found, expected)


def test_eight_are_summed(numbers):
    expected = numbers[3 : 3 + NUM_SUMS].astype(np.float64).sum()
    assert total.ctypes(at(numbers), 3) == pytest.approx(expected, rel=1e-5)


def test_a_sum_of_zeros_without_sign_has_none():
    assert not np.signbit(total.ctypes(at(np.zeros(NUM_SUMS, np.float32)), 0))


def test_a_product_is_added(numbers):
    found, expected = numbers.copy(), numbers.astype(np.float64)
    here = slice(3, 3 + NUM_LANES)
    expected[here] += 0.3 * expected[here]
    added.ctypes(at(found), 0.3, at(numbers))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_two_products_are_added_to_each_of_eight(numbers):
    found, expected = numbers.copy(), numbers.astype(np.float64)
    products = expected[3 : 3 + NUM_LANES] ** 2
    expected[5 : 5 + NUM_SUMS] += products[:NUM_SUMS] + products[NUM_SUMS:]
    products_added.ctypes(at(found), 5, at(numbers), at(numbers))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_bits_tell_which_are_above_zero_or_no_number(numbers):
    numbers[:4] = 0.0, -0.0, np.nan, np.inf
    bits = above.ctypes(at(numbers))
    found = [bool(bits >> lane & 1) for lane in range(NUM_LANES)]
    assert found == [False, False, True, True, *(numbers[4:NUM_LANES] > 0)]
    assert bits < 2**NUM_LANES


@pytest.mark.parametrize("bits", [1, 2, 0b1010_0000, 2**16, 2**62, -(2**63)])
def test_the_lowest_bit_has_a_place(bits):
    assert lowest_of.ctypes(bits) == (bits & -bits).bit_length() - 1
