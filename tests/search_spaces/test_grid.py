import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import Choice, Float, Int, Space, grid_of, grid_size


def test_the_values_of_a_range_are_evenly_spaced_both_ends_among_them():
    assert Float(-1.0, 0.0, points=5).grid == (-1.0, -0.75, -0.5, -0.25, 0.0)
    log = Float(0.001, 1.0, log=True, points=4).grid
    assert log == pytest.approx((0.001, 0.01, 0.1, 1.0), rel=1e-12)
    assert (log[0], log[-1]) == (0.001, 1.0)
    assert Float(0.0, 1.0).grid is None
    assert Float(2.0, 2.0).grid == (2.0,)
    assert Int(32, 128, step=32).grid == (32, 64, 96, 128)
    assert Choice(("relu", "gelu")).grid == ("relu", "gelu")


def test_fewer_than_two_points_are_none():
    with pytest.raises(ValueError, match="points must be at least 2, found 1"):
        Float(0.0, 1.0, points=1)


def test_a_share_of_a_range_is_a_value_of_it():
    assert [Float(0.0, 8.0).at(share) for share in (0.0, 0.25, 1.0)] == [0.0, 2.0, 8.0]
    assert Float(1.0, 16.0, log=True).at(0.5) == pytest.approx(4.0)
    assert [Int(32, 128, step=32).at(share) for share in (0.0, 0.24, 0.25, 0.99, 1.0)] == [
        32,
        32,
        64,
        128,
        128,
    ]
    assert [Choice(("a", "b")).at(share) for share in (0.0, 0.49, 0.5, 1.0)] == list("aabb")
    assert {Int(1, 4, log=True).at(share / 100) for share in range(101)} == {1, 2, 3, 4}


@given(st.floats(0.0, 1.0), st.floats(-100, 100), st.floats(0, 100))
def test_no_share_leads_out_of_a_range(share, low, width):
    parameter = Float(low, low + width)
    assert parameter.contains(parameter.at(share))
    above = Float(abs(low) + 1e-6, abs(low) + 1e-6 + width, log=True)
    assert above.contains(above.at(share))


CONDITIONAL = Space(
    {
        "a": Float(0.0, 1.0, points=3),
        "b": Choice(("x", "y", "z")),
        "c": Int(1, 4),
        "d": Choice((1, 2)),
        "fixed": 3.0,
    },
    {"c": {"b": ("x", "y"), "d": (1,)}, "a": {"b": ("x",)}},
)


def test_a_grid_is_every_combination_of_what_is_there_once():
    listed = list(grid_of(CONDITIONAL))
    # x: 3 of a times (4 of c beside d = 1, and d = 2); y the same without a; z with d alone
    assert len(listed) == 3 * 5 + 5 + 2 == grid_size(CONDITIONAL)
    assert len({tuple(one.items()) for one in listed}) == len(listed)
    for values in listed:
        CONDITIONAL.settings(values)


def test_a_grid_without_conditions_is_a_product():
    space = Space({"a": Float(0.0, 1.0, points=3), "b": Int(1, 5)})
    assert grid_size(space) == 15 == len(list(grid_of(space)))
    assert list(grid_of(space))[:2] == [{"a": 0.0, "b": 1}, {"a": 0.0, "b": 2}]


def test_a_range_without_points_is_no_grid():
    space = Space({"a": Float(0.0, 1.0), "b": Int(1, 5)})
    assert grid_size(space) is None
    with pytest.raises(ValueError, match="a must have a number of points"):
        list(grid_of(space))


def test_a_grid_is_counted_without_being_listed():
    huge = Space(
        {
            "a": Int(1, 65536),
            "b": Int(1, 65536),
            "c": Float(0.0, 1.0, points=65536),
            "d": Float(0.0, 1.0, points=65536),
        },
        {"c": {"a": (1,), "b": (1, 2)}},
    )
    # c beside 2 of the 2**32 pairs, times d
    assert grid_size(huge) == 2**16 * (2**32 - 2 + 2 * 2**16)


def test_nothing_varied_is_a_grid_of_one_point():
    assert grid_size(Space({"a": 1.0})) == 1
    assert list(grid_of(Space({"a": 1.0}))) == [{}]
