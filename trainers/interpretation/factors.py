"""Factors of float64 matrices, on as many threads as torch was given.

numpy's own would take every core, and wait for each other where other programs are at work there.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


class Svd(NamedTuple):
    """``left * values @ right``, values falling; the thin decomposition."""

    left: Matrix
    values: Matrix
    right: Matrix


class Qr(NamedTuple):
    """``orthonormal @ upper``, the thin decomposition."""

    orthonormal: Matrix
    upper: Matrix


def svd(matrix: Matrix) -> Svd:
    """The singular value decomposition of a matrix."""
    factors = torch.linalg.svd(torch.from_numpy(matrix), full_matrices=False)
    return Svd(*(factor.numpy() for factor in factors))


def qr(matrix: Matrix) -> Qr:
    """Orthonormal columns that span a matrix's, and how they make it up."""
    return Qr(*(factor.numpy() for factor in torch.linalg.qr(torch.from_numpy(matrix))))


def eigenvalues(symmetric: Matrix) -> Matrix:
    """The eigenvalues of a symmetric matrix, ascending."""
    values: Matrix = torch.linalg.eigvalsh(torch.from_numpy(symmetric)).numpy()
    return values
