"""Members packed into tiles: networks of one seed, padded width and nonlinearity.

A tile is trained for a whole chunk of steps before the next one runs, so that its weights and
moments stay in the cache.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trainers.model import (
    NONLINEARITIES,
    Nonlinearity,
    Weights,
    initial_weights,
    split,
)
from trainers.optimizers import Moments, Optimizer
from trainers.passes import Passes, passes_of
from trainers.settings import Member
from trainers.sizes import num_weights, padded_width


def tile_size(device: torch.device) -> int:
    """Networks in one tile.

    On a CPU one: at 256/32/512 and batch 256, tiles of 2 and 4 took within a twentieth of its time
    for each network, and one network's arrays stay in a core's cache. It also makes every operation
    see the same shapes alone and in company, so that neighbours cannot matter. Elsewhere 64, to
    fill the device; there equal bits in every company are not promised.
    """
    return 1 if device.type == "cpu" else 64


@dataclass(frozen=True, eq=False)
class Tile:
    """T networks trained in lockstep; the arrays are moved on in place.

    Attributes:
        slots: Their places among the cohort's members. Length T.
        seed: The seed they share.
        nonlinearity: act.
        weights: Master weights, float32.
        moments: State of the optimiser, float32.
        rates: Learning rate. Shape ``[T, 1]``.
        keeps: What bias decay leaves of a bias, ``1 - bias_decay * learning_rate``.
            Shape ``[T, 1]``.
        l1: Weight of the L1 penalty ``[T]``, or None where all are zero.
        first_losses: Training loss of the first step. Shape ``[T]``.
        losses: Training loss of each step of the current chunk. Shape ``[T, chunk_steps]``.
    """

    slots: tuple[int, ...]
    seed: int
    nonlinearity: Nonlinearity
    weights: Weights
    moments: Moments
    rates: Tensor
    keeps: Tensor
    l1: Tensor | None
    first_losses: Tensor
    losses: Tensor

    def keep(self, is_kept: Sequence[bool]) -> "list[Tile]":
        """This tile with some of its networks only: itself, a smaller one, or none."""
        if all(is_kept):
            return [self]
        kept = [row for row, stays in enumerate(is_kept) if stays]
        return [self.rows(kept)] if kept else []

    def rows(self, kept: list[int]) -> "Tile":
        """A tile of some of the networks, in the order given; the arrays are copies."""
        return replace(
            self,
            slots=tuple(self.slots[row] for row in kept),
            weights=self.weights.rows(kept),
            moments=tuple(moment.rows(kept) for moment in self.moments),
            rates=self.rates[kept],
            keeps=self.keeps[kept],
            l1=None if self.l1 is None else self.l1[kept],
            first_losses=self.first_losses[kept],
            losses=self.losses[kept],
        )


@dataclass(frozen=True, eq=False)
class Workspace:
    """Buffers of one step, shared by the tiles of one shape; they hold nothing between steps.

    Attributes:
        weights: Copies of a tile's weights in the products' dtype; None where that is float32: a
            tile's own are read then.
        gradient: Gradient in the products' dtype.
        gradient32: Gradient in float32; the same memory where the products are in float32.
        direction: What the optimiser makes of it, float32.
        passes: Forward and backward passes in the products' dtype.
    """

    weights: Weights | None
    gradient: Weights
    gradient32: Weights
    direction: Weights
    passes: Passes


@dataclass(frozen=True, kw_only=True)
class CohortShape:
    """The sizes all networks of a cohort share: m, outputs, and the steps of a chunk."""

    num_inputs: int
    num_outputs: int
    chunk_steps: int


def pack(
    members: Sequence[Member], shape: CohortShape, optimizer: Optimizer, device: torch.device
) -> list[Tile]:
    """Pack members into tiles, ordered by seed, each network at its initial weights."""
    groups: dict[tuple[int, int, str], list[int]] = defaultdict(list)
    for slot, member in enumerate(members):
        groups[member.seed, padded_width(member.num_neurons), member.nonlinearity].append(slot)
    size = tile_size(device)
    # All of them before the noise that fills them: what is kept then has no holes between.
    tiles = [
        _blank_tile(members, slots[start : start + size], shape, optimizer, device)
        for _, slots in sorted(groups.items())
        for start in range(0, len(slots), size)
    ]
    for tile in tiles:
        for slot, flat in zip(tile.slots, tile.weights.flat, strict=True):
            flat.copy_(_initial_weights(members[slot], shape).flat[0])
    return tiles


def _initial_weights(member: Member, shape: CohortShape) -> Weights:
    return initial_weights(
        member.seed,
        member.num_neurons,
        shape.num_inputs,
        shape.num_outputs,
        member.initial_bias,
    )


def _blank_tile(
    members: Sequence[Member],
    slots: Sequence[int],
    shape: CohortShape,
    optimizer: Optimizer,
    device: torch.device,
) -> Tile:
    """A tile for the members at ``slots``, which share seed, padded width and nonlinearity.

    Its weights are not filled yet.
    """
    here = [members[slot] for slot in slots]
    width = padded_width(here[0].num_neurons)
    size = num_weights(width, shape.num_inputs, shape.num_outputs)
    weights = split(torch.empty(len(here), size, device=device), width, shape.num_inputs)
    moments = optimizer.init(weights)

    def numbers(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device)

    return Tile(
        slots=tuple(slots),
        seed=here[0].seed,
        nonlinearity=NONLINEARITIES[here[0].nonlinearity],
        weights=weights,
        moments=moments,
        rates=numbers([one.learning_rate for one in here]).unsqueeze(1),
        keeps=numbers([1 - one.bias_decay * one.learning_rate for one in here]).unsqueeze(1),
        l1=numbers([one.l1 for one in here]) if any(one.l1 for one in here) else None,
        first_losses=torch.zeros(len(here), device=device),
        losses=torch.zeros(len(here), shape.chunk_steps, device=device),
    )


def workspace(tile: Tile, batch_size: int, dtype: torch.dtype) -> Workspace:
    """Buffers for a tile of this shape, its products in ``dtype``."""
    _, width, num_inputs = tile.weights.encoder.shape

    def buffer(kind: torch.dtype) -> Weights:
        return split(torch.empty_like(tile.weights.flat, dtype=kind), width, num_inputs)

    gradient32 = buffer(torch.float32)
    weights = None if dtype == torch.float32 else buffer(dtype)
    return Workspace(
        weights=weights,
        gradient=gradient32 if weights is None else buffer(dtype),
        gradient32=gradient32,
        direction=buffer(torch.float32),
        passes=passes_of(
            tile.weights if weights is None else weights,
            tile.nonlinearity,
            batch_size,
            is_trained=True,
        ),
    )
