"""Sparse features, the projection they are seen through, and the random streams behind both.

Random numbers come from counter-based Philox streams keyed by (seed, stream), so members of one
seed share them and any chunk can be drawn again without those before it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

POWER_LAW_EXPONENT = 1.1


class Stream(IntEnum):
    """What a stream of random numbers is for; never renumber, or every seed changes."""

    PROJECTION = 0
    ENCODER = 1
    BIAS = 2
    DECODER = 3
    TRAINING = 4
    HELD_OUT = 5
    REPROJECTION = 6
    ACTIVE_COUNTS = 7
    REMOVAL = 8
    CHANCE = 9


@dataclass(frozen=True)
class SparseFeatures:
    """The non-zero entries of an array of features ``[num_samples, N]``, in row-major order.

    Attributes:
        positions: Place in the flattened array, strictly increasing. Shape ``[num_nonzero]``.
        values: Value there. Shape ``[num_nonzero]``, float32.
    """

    positions: NDArray[np.int64]
    values: NDArray[np.float32]

    def minus(self, other: "SparseFeatures") -> "SparseFeatures":
        """The difference of two arrays of features; values are then signed."""
        positions = np.concatenate([self.positions, other.positions])
        values = np.concatenate([self.values, -other.values])
        order = np.argsort(positions, kind="stable")
        positions, values = positions[order], values[order]
        starts = np.flatnonzero(np.diff(positions, prepend=-1))
        if not len(starts):
            return self
        return SparseFeatures(positions[starts], np.add.reduceat(values, starts))


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


def projection(
    seed: int, num_inputs: int, num_features: int, stream: Stream = Stream.PROJECTION
) -> NDArray[np.float32]:
    """A fixed random matrix P, such as that through which the model sees the features.

    The left singular vectors of an N x m Gaussian matrix, each row scaled to unit norm,
    transposed: every feature is a unit vector in m dimensions.

    Args:
        seed: Whose matrix.
        num_inputs: Rows, m.
        num_features: Columns, N, at least m.
        stream: ``Stream.PROJECTION``, or ``Stream.REPROJECTION`` for the re-projector's Q.

    Returns:
        P. Shape ``[m, N]``.

    Source: Jermyn et al. 2022, the published research code.
    """
    gaussian = generator(seed, stream).standard_normal((num_features, num_inputs))
    left = np.linalg.svd(gaussian, full_matrices=False).U
    unit = left / np.linalg.norm(left, axis=1, keepdims=True)
    return np.ascontiguousarray(unit.T, dtype=np.float32)


def uniform_densities(num_features: int, mean_density: float) -> NDArray[np.float64]:
    """The same density for every feature. Shape ``[N]``."""
    return np.full(num_features, mean_density)


def power_law_densities(num_features: int, mean_density: float) -> NDArray[np.float64]:
    """Densities in proportion to ``i**-1.1``, i from 1. Shape ``[N]``.

    They are scaled so that their mean is ``mean_density`` and then each is clipped at 1, so the
    mean of what comes out is a little lower where the first ones are clipped.

    Source: Jermyn et al. 2022, the published research code.
    """
    shares = np.arange(1, num_features + 1) ** -POWER_LAW_EXPONENT
    densities: NDArray[np.float64] = np.minimum(shares * (mean_density / shares.mean()), 1.0)
    return densities


def draw_uniform(
    rng: np.random.Generator, num_samples: int, num_features: int, mean_density: float
) -> SparseFeatures:
    """Draw samples whose features are non-zero with one probability, then uniform on [0, 1).

    Args:
        rng: Where the numbers come from; it is moved on.
        num_samples: Samples.
        num_features: Features of each, N.
        mean_density: In (0, 1].
    """
    size = num_samples * num_features
    if mean_density == 1:
        positions = np.arange(size)
    else:
        hazard = -math.log1p(-mean_density)
        positions = _distinct((_arrivals(rng, size * hazard) / hazard).astype(np.int64), size)
    return SparseFeatures(positions, rng.random(len(positions), dtype=np.float32))


def draw_power_law(
    rng: np.random.Generator, num_samples: int, num_features: int, mean_density: float
) -> SparseFeatures:
    """Draw samples whose features have the densities of ``power_law_densities``.

    Args:
        rng: Where the numbers come from; it is moved on.
        num_samples: Samples.
        num_features: Features of each, N.
        mean_density: In (0, 1].
    """
    densities = power_law_densities(num_features, mean_density)
    # Densities fall, so the certain features come first; they have no finite hazard.
    num_certain = int((densities == 1).sum())
    ends = np.cumsum(-np.log1p(-densities[num_certain:]))
    positions = np.empty(0, dtype=np.int64)
    if len(ends):
        arrivals = _arrivals(rng, num_samples * ends[-1])
        samples = (arrivals / ends[-1]).astype(np.int64)
        features = np.searchsorted(ends, arrivals - samples * ends[-1], side="right")
        # Rounding may put an arrival at the very end of its sample.
        features = np.minimum(features, len(ends) - 1)
        positions = samples * num_features + num_certain + features
        positions = _distinct(positions, num_samples * num_features)
    certain = np.arange(num_samples)[:, None] * num_features + np.arange(num_certain)
    # Two sorted runs: a stable sort merges them.
    positions = np.sort(np.concatenate([positions, certain.ravel()]), kind="stable")
    return SparseFeatures(positions, rng.random(len(positions), dtype=np.float32))


def _arrivals(rng: np.random.Generator, length: float) -> NDArray[np.float64]:
    """The arrivals of a Poisson process of rate 1 on ``[0, length)``, in order.

    A place of length ``-log(1 - p)`` sees an arrival with probability exactly p, independently of
    every other place: these are the successes of Bernoulli trials of any probabilities, and only
    they cost anything.
    """
    # Six standard deviations above the mean: a second draw is all but never needed.
    num_gaps = math.ceil(length + 6 * math.sqrt(length) + 6)
    parts: list[NDArray[np.float64]] = []
    last = 0.0
    while last < length:
        parts.append(last + np.cumsum(rng.standard_exponential(num_gaps)))
        last = float(parts[-1][-1])
    arrivals = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return arrivals[: np.searchsorted(arrivals, length)]


def _distinct(positions: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Sorted positions once each, those below ``size``."""
    first = np.empty(len(positions), dtype=bool)
    first[:1] = True
    np.not_equal(positions[1:], positions[:-1], out=first[1:])
    # Rounding may put the last arrival at the very end.
    first[-1:] &= positions[-1:] < size
    return positions[first]


@dataclass(frozen=True)
class FeatureDistribution:
    """The functions behind a distribution's name, both of the mean density.

    Attributes:
        densities: ``densities(num_features, mean_density)``, of each feature. Shape ``[N]``.
        draw: ``draw(rng, num_samples, num_features, mean_density)``.
    """

    densities: Callable[[int, float], NDArray[np.float64]]
    draw: Callable[[np.random.Generator, int, int, float], SparseFeatures]


DISTRIBUTIONS: dict[str, FeatureDistribution] = {
    "uniform": FeatureDistribution(uniform_densities, draw_uniform),
    "power_law": FeatureDistribution(power_law_densities, draw_power_law),
}
