"""Samples in blocks, one for each step, with sparse or dense targets."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from trainers.passes import Passes


class BlockTargets(Protocol):
    """The targets of one block."""

    def subtract_from_(self, passes: Passes) -> None:
        """Turn the outputs in ``passes.error`` into outputs minus targets."""


class SparseBlock(NamedTuple):
    """Targets that are mostly zero.

    Attributes:
        positions: Places of the others in a flattened ``[B, N]``, int64.
        values: The targets there.
    """

    positions: Tensor
    values: Tensor

    def subtract_from_(self, passes: Passes) -> None:
        """Turn the outputs in ``passes.error`` into outputs minus targets."""
        passes.subtract_sparse_(self.positions, self.values)


class DenseBlock(NamedTuple):
    """Targets ``[B, N]``."""

    values: Tensor

    def subtract_from_(self, passes: Passes) -> None:
        """Turn the outputs in ``passes.error`` into outputs minus targets."""
        passes.error.sub_(self.values)


@dataclass(frozen=True)
class SparseTargets:
    """Sparse targets in blocks.

    Attributes:
        positions: Places of the non-zero targets in their block's flattened ``[B, N]``.
            Shape ``[num_nonzero]``, int64.
        values: The targets there. Shape ``[num_nonzero]``.
        starts: Block i's targets are ``positions[starts[i]:starts[i + 1]]``.
    """

    positions: Tensor
    values: Tensor
    starts: tuple[int, ...]

    def blocks(self) -> list[BlockTargets]:
        """The targets of each block."""
        sizes = [end - start for start, end in pairwise(self.starts)]
        positions = torch.split(self.positions, sizes)
        return list(map(SparseBlock, positions, torch.split(self.values, sizes)))

    def to(self, device: torch.device, dtype: torch.dtype) -> "SparseTargets":
        """The same targets on a device, values in ``dtype``."""
        return SparseTargets(self.positions.to(device), self.values.to(device, dtype), self.starts)


@dataclass(frozen=True)
class DenseTargets:
    """Dense targets in blocks. Shape ``[num_blocks, B, N]``."""

    values: Tensor

    def blocks(self) -> list[BlockTargets]:
        """The targets of each block."""
        return list(map(DenseBlock, self.values.unbind()))

    def to(self, device: torch.device, dtype: torch.dtype) -> "DenseTargets":
        """The same targets on a device in ``dtype``."""
        return DenseTargets(self.values.to(device, dtype))


class Block(NamedTuple):
    """The samples of one step: inputs ``[B, m]`` and targets."""

    inputs: Tensor
    targets: BlockTargets


@dataclass(frozen=True)
class Samples:
    """Samples in blocks of equal size; a block is one step's batch.

    Attributes:
        inputs: What the model sees. Shape ``[num_blocks, B, m]``.
        targets: What it is to say.
    """

    inputs: Tensor
    targets: SparseTargets | DenseTargets

    def blocks(self, here: slice = slice(None)) -> list[Block]:
        """The blocks of a range of indices."""
        return list(map(Block, self.inputs.unbind()[here], self.targets.blocks()[here]))

    def to(self, device: torch.device, dtype: torch.dtype) -> "Samples":
        """The same samples on a device, inputs and targets in ``dtype``."""
        return Samples(self.inputs.to(device, dtype), self.targets.to(device, dtype))
