"""A space as a grid: every combination of the values that its parameters may have."""

from collections import Counter
from collections.abc import Iterator
from itertools import product
from math import prod

from search_spaces.parameters import Value
from search_spaces.space import Space


def grid_size(space: Space) -> int | None:
    """How many combinations there are; None where a range has no number of points.

    Counted, not listed: there may be more than could ever be.
    """
    sizes: dict[str, int] = {}
    for name, parameter in space.varied.items():
        if parameter.grid is None:
            return None
        sizes[name] = len(parameter.grid)
    parents = sorted({parent for one in space.conditions.values() for parent in one})
    # A parent's values count as one where they allow the same parameters.
    kinds = [list(_kinds(space, parent).items()) for parent in parents]
    always = prod(sizes[name] for name in sizes if name not in {*parents, *space.conditions})
    return always * sum(
        prod(count for _, count in chosen)
        * prod(
            sizes[name]
            for name, condition in space.conditions.items()
            if name in sizes
            and all(name in chosen[parents.index(parent)][0] for parent in condition)
        )
        for chosen in product(*kinds)
    )


def _kinds(space: Space, parent: str) -> Counter[frozenset[str]]:
    """The parameters that each value of a parent allows, with how many values do so."""
    return Counter(
        frozenset(
            name
            for name, condition in space.conditions.items()
            if value in condition.get(parent, (value,))
        )
        for value in space.varied[parent].grid or ()
    )


def grid_of(space: Space) -> Iterator[dict[str, Value]]:
    """The values of every combination, what is there of them, in the space's order.

    Raises:
        ValueError: If a range has no number of points.
    """
    axes = {name: parameter.grid for name, parameter in space.varied.items()}
    for name, axis in axes.items():
        if axis is None:
            raise ValueError(f"{name} must have a number of points, found none. Add points.")
    seen = set()
    for values in product(*(axis or () for axis in axes.values())):
        there = space.there(dict(zip(axes, values, strict=True)))
        key = tuple(there.items())
        # Where a parameter is not there, its values are one.
        if key not in seen:
            seen.add(key)
            yield there
