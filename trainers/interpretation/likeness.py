"""How like an identity over features a linear map is, and what chance would make of it.

A network whose target is ``T f`` (T is the identity for the feature decoder, Q for the
re-projector) would add a correction that is the same for every feature if its map were
``Pi O`` times a number: O is T with its singular values made equal, rows orthonormal, and Pi an
orthogonal projection over outputs. For the decoder ``Pi O`` is Pi, the identity of a rank.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers.features import Stream, generator
from trainers.interpretation.factors import eigenvalues, qr, svd
from trainers.interpretation.spectrum import Spectrum
from trainers.networks import Network

# Enough to tell where chance ends: another draw is above all of them once in 33.
CHANCE_DRAWS = 32


@dataclass(frozen=True, eq=False)
class Likeness:
    """A map M beside the best identity of its rank.

    Attributes:
        rank: r, the map's effective rank to the nearest whole number.
        value: Largest cosine between M and ``Pi O``, over orthogonal projections Pi of rank r.
            It is 1 for an identity of rank r, whatever its (positive) scale.
        by_chance: The same of random maps with M's singular values. Shape ``[CHANCE_DRAWS]``.
        best: The largest value that a network with M's singular values could have, which sees
            features through P.
        given_back: What M gives back of each feature along its target, ``T[:, i] . M[:, i]``
            (output per feature). Shape ``[N]``.
        spread: Standard deviation of ``given_back`` over its mean's magnitude; infinite where the
            mean is 0.
        spread_of_identities: The same, on average, of maps as like an identity as M's singular
            values allow, turned at random: what is left where no feature is favoured.
    """

    rank: int
    value: float
    by_chance: NDArray[np.float64]
    best: float
    given_back: NDArray[np.float64]
    spread: float
    spread_of_identities: float

    @property
    def share(self) -> float:
        """Where the value lies between chance, 0, and the best, 1."""
        chance = float(self.by_chance.mean())
        return (self.value - chance) / (self.best - chance)

    @property
    def spread_beyond_identities(self) -> float:
        """The part of the spread that turning an identity at random does not bring about."""
        return float(np.sqrt(max(0.0, self.spread**2 - self.spread_of_identities**2)))


# None where the target has no linear part.
TARGET_MAPS: dict[str, Callable[[Network], NDArray[np.float64] | None]] = {
    "feature_decoder": lambda network: np.eye(network.task.num_features),
    "random_reprojector": lambda network: network.projections.targets.numpy().astype(np.float64),
    "absolute_value": lambda network: None,
}


def likeness_of(network: Network, found: Spectrum) -> Likeness | None:
    """How like an identity a map over features is, or None where that is not defined.

    Args:
        network: Whose map.
        found: The map, ``M = U S V'``.
    """
    target = TARGET_MAPS[network.task.kind](network)
    if target is None or not found.rank:
        return None
    frame = _orthonormal(target)
    # Rows of M are seen through P; so may those of the identities be that it stands beside.
    seen = svd(network.projection.astype(np.float64)).right.T
    rng = generator(network.member.seed, Stream.CHANCE)
    rank = max(1, round(found.effective_rank))
    given_back = _given_back(target, found.left * found.kept, found.right)
    return Likeness(
        rank=rank,
        value=best_cosine(found.left * found.kept, frame @ found.right, rank),
        by_chance=_by_chance(rng, frame, found.kept, rank),
        best=_best(frame @ seen, found.kept, rank),
        given_back=given_back,
        spread=_spread(given_back),
        spread_of_identities=_spread_of_identities(rng, target, frame, seen, found.kept),
    )


def best_cosine(left: NDArray[np.float64], right: NDArray[np.float64], rank: int) -> float:
    """Largest cosine between a map M and ``Pi O`` over orthogonal projections Pi of a rank.

    ``<M, Pi O> = tr(Pi M O')`` is largest where Pi projects onto the eigenvectors of the symmetric
    part of ``M O' = A B'`` with the largest eigenvalues. They lie in the span of A and B, which is
    small where M has a low rank.

    Args:
        left: A, ``U S`` of ``M = U S V'``. Shape ``[outputs, R]``.
        right: B, ``O V``. Shape ``[outputs, R]``.
        rank: Of Pi.

    Source: K. Fan, *On a theorem of Weyl concerning eigenvalues of linear transformations*, 1949.
    """
    num_outputs, width = left.shape
    inside = qr(np.hstack([left, right])).upper
    product = inside[:, :width] @ inside[:, width:].T
    values = eigenvalues((product + product.T) / 2)
    # Outside the span they are zero.
    values = np.sort(np.append(values, np.zeros(num_outputs - len(values))))
    return float(values[-rank:].sum() / (np.sqrt(rank) * np.linalg.norm(left)))


def _orthonormal(target: NDArray[np.float64]) -> NDArray[np.float64]:
    """O: a map with its singular values made equal. Shape ``[outputs, N]``."""
    factors = svd(target)
    frame: NDArray[np.float64] = factors.left @ factors.right
    return frame


def _turned(rng: np.random.Generator, size: int, rank: int) -> NDArray[np.float64]:
    """Orthonormal columns in a random direction. Shape ``[size, rank]``."""
    factors = qr(rng.standard_normal((size, rank)))
    # The signs that the decomposition chooses are not random.
    turned: NDArray[np.float64] = factors.orthonormal * np.sign(np.diag(factors.upper))
    return turned


def _by_chance(
    rng: np.random.Generator,
    frame: NDArray[np.float64],
    kept: NDArray[np.float64],
    rank: int,
) -> NDArray[np.float64]:
    """Likeness of maps ``U S V'`` with U and V turned at random, each for itself."""
    num_outputs, num_features = frame.shape

    def draw() -> float:
        left = _turned(rng, num_outputs, len(kept))
        right = _turned(rng, num_features, len(kept))
        return best_cosine(left * kept, frame @ right, rank)

    return np.array([draw() for _ in range(CHANCE_DRAWS)])


def _best(target_seen: NDArray[np.float64], kept: NDArray[np.float64], rank: int) -> float:
    """The largest likeness of maps with these singular values whose rows are seen through P.

    ``tr(Pi U S V' O')`` is at most the sum of the products of the singular values, in order, of S
    and of ``O V``: the latter are cosines of the angles between what is to be shown and what is
    seen, 1 for the decoder.

    Source: J. von Neumann's trace inequality, 1937.
    """
    cosines = svd(target_seen).values
    num = min(rank, len(cosines), len(kept))
    reached = (kept[:num] * cosines[:num]).sum()
    return float(reached / (np.sqrt(rank) * np.linalg.norm(kept)))


def _given_back(
    target: NDArray[np.float64], left: NDArray[np.float64], right: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The diagonal of ``T' M``, M being ``left right'``. Shape ``[N]``."""
    diagonal: NDArray[np.float64] = ((target.T @ left) * right).sum(axis=1)
    return diagonal


def _spread(given_back: NDArray[np.float64]) -> float:
    mean = abs(given_back.mean())
    return float(given_back.std() / mean) if mean else np.inf


def _spread_of_identities(
    rng: np.random.Generator,
    target: NDArray[np.float64],
    frame: NDArray[np.float64],
    seen: NDArray[np.float64],
    kept: NDArray[np.float64],
) -> float:
    """Mean spread of maps ``O V S V'`` whose V is turned at random within what P shows."""

    def draw() -> float:
        right = seen @ _turned(rng, seen.shape[1], len(kept))
        return _spread(_given_back(target, (frame @ right) * kept, right))

    return float(np.mean([draw() for _ in range(CHANCE_DRAWS)]))
