"""Points that are spread evenly over a space: one scrambled Sobol sequence for a sweep."""

import random
import warnings
from collections.abc import Iterator

import numpy as np

from search_spaces import Space, Value, grid_of, grid_size

# Where a point that repeats an earlier one is looked for instead: beyond all that searches reach.
RETRY_STRIDE = 2**20
# Points of the sequence that are looked at for a grid's order, before the rest is shuffled.
MAX_SPREAD = 2**21
_BLOCK = 256


def spread_values(space: Space, sweep_seed: int, number: int, retry: int) -> dict[str, Value]:
    """A value for everything that varies: the point of this number in the sequence."""
    if not space.varied:
        return {}
    (shares,) = _points(space, sweep_seed, number + retry * RETRY_STRIDE, 1)
    return {
        name: parameter.at(share)
        for (name, parameter), share in zip(space.varied.items(), shares, strict=True)
    }


def grid_order(space: Space, sweep_seed: int) -> Iterator[dict[str, Value]]:
    """Every combination of a grid once; the first ones are spread over it.

    The order does not depend on how many are wanted, so a search can be extended. First come the
    combinations that the sequence meets, then the others, shuffled.
    """
    size = grid_size(space)
    assert size is not None  # the sweep file was checked
    grids = {name: parameter.grid or () for name, parameter in space.varied.items()}
    seen = set()
    for first in range(0, min(2 * size, MAX_SPREAD), _BLOCK):
        for shares in _points(space, sweep_seed, first, _BLOCK) if space.varied else ():
            values = space.there(
                {
                    name: grid[int(share * len(grid))]
                    for (name, grid), share in zip(grids.items(), shares, strict=True)
                }
            )
            if _key(values) not in seen:
                seen.add(_key(values))
                yield values
    rest = [values for values in grid_of(space) if _key(values) not in seen]
    random.Random(sweep_seed).shuffle(rest)  # noqa: S311 - an order, no secret
    yield from rest


def _points(space: Space, sweep_seed: int, first: int, count: int) -> np.ndarray:
    """Points of the sequence, each a share in [0, 1) for what varies. Shape ``[count, names]``."""
    # A second to import, which a sweep file that is only checked does not need.
    from scipy.stats.qmc import Sobol  # noqa: PLC0415

    sequence = Sobol(len(space.varied), scramble=True, rng=np.random.default_rng(sweep_seed))
    if first:
        sequence.fast_forward(first)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of numbers that are no powers of two
        return np.asarray(sequence.random(count))


def _key(values: dict[str, Value]) -> tuple[tuple[str, Value], ...]:
    return tuple(sorted(values.items()))
