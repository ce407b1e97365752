"""The singular values of a map over features."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers.interpretation.factors import svd

# Weights are float32: what is below this share of the largest singular value is rounding.
ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A map ``M = U S V'`` over features. R is its rank, rounding left out.

    Attributes:
        singular_values: All of them, falling (output per feature).
            Shape ``[min(outputs, N)]``, float64.
        left: U. Shape ``[outputs, R]``.
        right: V. Shape ``[N, R]``.
    """

    singular_values: NDArray[np.float64]
    left: NDArray[np.float64]
    right: NDArray[np.float64]

    @property
    def rank(self) -> int:
        """R."""
        return int(self.left.shape[1])

    @property
    def kept(self) -> NDArray[np.float64]:
        """The singular values that are more than rounding. Shape ``[R]``."""
        return self.singular_values[: self.rank]

    @property
    def effective_rank(self) -> float:
        """``(sum s**2)**2 / sum s**4`` of the singular values s, the participation ratio.

        It is r for r equal ones and less the more they differ; 0 for a map that is zero.
        """
        if not self.rank:
            return 0.0
        squares = (self.kept / self.kept[0]) ** 2
        return float(squares.sum() ** 2 / (squares**2).sum())


def spectrum_of(features_to_outputs: NDArray[np.float64]) -> Spectrum:
    """The spectrum of a map. Shape ``[outputs, N]``."""
    left, values, right = svd(features_to_outputs)
    rank = int((values > ROUNDING * values[0]).sum())
    return Spectrum(values, left[:, :rank], right[:rank].T)
