from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import Choice, Float, Int, Space, grid_of, grid_size
from service.search.spread import grid_order, spread_values

SPACE = Space({"a": Float(0.0, 1.0), "b": Float(1.0, 16.0, log=True)})


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_points_are_spread_more_evenly_than_chance(seed: int) -> None:
    """A Sobol sequence's law: of 16 points each cell of 4 by 4 has exactly one."""
    cells = set()
    for number in range(16):
        values = spread_values(SPACE, seed, number, 0)
        b = float(values["b"])
        # A quarter of the logarithm's way from 1 to 16 is a factor of 2.
        cells.add((int(4 * float(values["a"])), sum(b >= edge for edge in (2, 4, 8))))
    assert len(cells) == 16


def test_the_sequence_is_one_for_a_sweep_and_differs_between_sweeps() -> None:
    ours = [spread_values(SPACE, 7, number, 0) for number in range(8)]
    assert ours == [spread_values(SPACE, 7, number, 0) for number in range(8)]
    assert ours != [spread_values(SPACE, 8, number, 0) for number in range(8)]
    assert spread_values(SPACE, 7, 3, 1) not in ours


GRID = Space(
    {
        "a": Float(0.0, 1.0, points=4),
        "b": Int(1, 5),
        "c": Choice(("x", "y", "z")),
        "d": Choice((0.1, 0.2)),
    },
    {"d": {"c": ("x",)}},
)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_grids_order_has_every_point_once(seed: int) -> None:
    order = [tuple(sorted(one.items())) for one in grid_order(GRID, seed)]
    # 4 * 5 * (2 values of d beside x, and y and z without it)
    assert len(order) == len(set(order)) == grid_size(GRID) == 80
    assert set(order) == {tuple(sorted(one.items())) for one in grid_of(GRID)}


def test_a_grids_order_is_seeded() -> None:
    assert list(grid_order(GRID, 1)) == list(grid_order(GRID, 1))
    assert list(grid_order(GRID, 1)) != list(grid_order(GRID, 2))


def test_the_first_points_are_spread_over_the_grid() -> None:
    """Sixteen of 16 by 16 lie in 4 by 4 blocks of their own; 16 drawn by chance fill about 10."""
    square = Space({"a": Float(0.0, 1.0, points=16), "b": Float(0.0, 1.0, points=16)})
    blocks = {
        (int(15.99 * float(one["a"])) // 4, int(15.99 * float(one["b"])) // 4)
        for one in islice(grid_order(square, 3), 16)
    }
    assert len(blocks) == 16


SQUARE = Space({name: Float(0.0, 1.0, points=64) for name in "ab"})


def test_a_grid_too_large_to_list_is_begun_at_once() -> None:
    huge = Space({name: Float(0.0, 1.0, points=65536) for name in "abcd"})
    assert len(list(islice(grid_order(huge, 0), 100))) == 100


def test_a_grids_values_are_listed_as_often_for_many_points_as_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listed = []
    grid = Float.grid
    assert isinstance(grid, property)

    def counted(parameter: Float) -> object:
        listed.append(parameter)
        return grid.__get__(parameter)

    monkeypatch.setattr(Float, "grid", property(counted))
    times = []
    for num_points in (1, 100):
        listed.clear()
        list(islice(grid_order(SQUARE, 0), num_points))
        times.append(len(listed))
    assert times[0] == times[1] > 0
