"""Sparse features, the projection they are seen through, and the random streams behind both.

Random numbers come from counter-based Philox streams keyed by (seed, stream), so members of one
seed share them and any chunk can be drawn again without those before it.
"""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Stream(IntEnum):
    """What a stream of random numbers is for; never renumber, or every seed changes."""

    PROJECTION = 0
    ENCODER = 1
    BIAS = 2
    DECODER = 3
    TRAINING = 4
    HELD_OUT = 5


@dataclass(frozen=True)
class SparseFeatures:
    """The non-zero entries of an array of features ``[num_samples, N]``, in row-major order.

    Attributes:
        positions: Place in the flattened array, strictly increasing. Shape ``[num_nonzero]``.
        values: Value there. Shape ``[num_nonzero]``, float32.
    """

    positions: NDArray[np.int64]
    values: NDArray[np.float32]


def generator(seed: int, stream: Stream, chunk: int = 0) -> np.random.Generator:
    """The random numbers of one chunk of one stream of one seed.

    Args:
        seed: In ``[0, 2**64)``.
        stream: What they are for.
        chunk: Which part of the stream; parts never overlap.
    """
    key = np.array([seed, int(stream)], dtype=np.uint64)
    # The chunk is the third of the counter's four words: a chunk would have to draw 2**128 blocks
    # to run into the next.
    counter = np.array([0, 0, chunk, 0], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def projection(seed: int, num_inputs: int, num_features: int) -> NDArray[np.float32]:
    """The fixed random matrix P through which the model sees the features.

    The left singular vectors of an N x m Gaussian matrix, each row scaled to unit norm,
    transposed: every feature is a unit vector in m dimensions.

    Returns:
        P. Shape ``[m, N]``.

    Source: Jermyn et al. 2022, the published research code.
    """
    gaussian = generator(seed, Stream.PROJECTION).standard_normal((num_features, num_inputs))
    left = np.linalg.svd(gaussian, full_matrices=False).U
    unit = left / np.linalg.norm(left, axis=1, keepdims=True)
    return np.ascontiguousarray(unit.T, dtype=np.float32)


def draw_uniform(rng: np.random.Generator, size: int, density: float) -> SparseFeatures:
    """Draw ``size`` features: each non-zero with probability ``density``, then uniform on [0, 1).

    Only the non-zero ones are drawn: in a Bernoulli process the gaps between successes are
    geometric, so the law is exact.

    Args:
        rng: Where the numbers come from; it is moved on.
        size: Samples times features.
        density: In (0, 1].
    """
    positions = _bernoulli_positions(rng, size, density)
    return SparseFeatures(positions, rng.random(len(positions), dtype=np.float32))


def _bernoulli_positions(rng: np.random.Generator, size: int, density: float) -> NDArray[np.int64]:
    """Places of the successes among ``size`` Bernoulli trials, from geometric gaps."""
    expected = size * density
    # Six standard deviations above the mean: a second draw is all but never needed.
    num_gaps = math.ceil(expected + 6 * math.sqrt(expected) + 6)
    parts: list[NDArray[Any]] = []
    last = -1
    while last < size:
        # Gaps are cut at size + 1, which is past the end anyway: at tiny densities numpy returns
        # the largest int64, and the running sum would overflow.
        gaps = np.minimum(rng.geometric(density, num_gaps), size + 1)
        parts.append(last + np.cumsum(gaps))
        last = int(parts[-1][-1])
    positions: NDArray[np.int64] = np.concatenate(parts)
    return positions[: np.searchsorted(positions, size)]
