"""The training loop: a cohort of networks from its first step to its outcomes."""

import math
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch

from trainers.divergence import divergence_reason
from trainers.evaluation import PUBLISHED_SIGNS, evaluation, held_out_loss, neurons
from trainers.model import Nonlinearity, split
from trainers.optimizers import OPTIMIZERS, Pace
from trainers.outcome import Outcome, Record, outcome
from trainers.passes import passes_of
from trainers.precision import PRODUCT_DTYPES
from trainers.replicates import (
    Replicate,
    begin_replicate,
    draw_chunk,
)
from trainers.samples import Samples
from trainers.schedules import SCHEDULES
from trainers.settings import Member, Task, TrainingSettings, check_member, check_settings
from trainers.sizes import HELD_OUT_BLOCK_SIZE, chunk_steps
from trainers.tasks import TASKS, check_task
from trainers.tiles import CohortShape, Tile, Workspace, pack, workspace

Workspaces = dict[tuple[torch.Size, Nonlinearity], Workspace]


@dataclass(eq=False)
class CohortState:
    """A cohort in training. It belongs to one thread; ``advance`` moves it on in place.

    Attributes:
        task: The task.
        settings: What the members share.
        members: The members, in the order given.
        step: Steps done.
        tiles: Live members, packed.
        replicates: What members of one seed share, by seed.
        records: What is known of each member, in the order of members.
    """

    task: Task
    settings: TrainingSettings
    members: tuple[Member, ...]
    step: int
    tiles: list[Tile]
    replicates: dict[int, Replicate]
    records: list[Record]

    @property
    def num_steps(self) -> int:
        """Steps of the whole training."""
        return self.settings.num_steps

    @property
    def finished(self) -> bool:
        """Whether every member is at the end, diverged or dropped."""
        return self.step == self.num_steps or not self.tiles

    @property
    def live(self) -> tuple[int, ...]:
        """Places of the members that are still in training, ascending."""
        if self.finished:
            return ()
        return tuple(sorted(slot for tile in self.tiles for slot in tile.slots))

    @property
    def chunk_steps(self) -> int:
        """Steps of a chunk of the data stream; to stop at a multiple of them costs nothing."""
        return chunk_steps(self.task, self.settings)


def begin(task: Task, settings: TrainingSettings, members: Sequence[Member]) -> CohortState:
    """A cohort before its first step.

    A member's numbers depend on the task, the settings and itself, never on the others, their
    order, or where training is interrupted. They do depend on the processor, on the versions of
    torch and numba, and on ``torch.get_num_threads()``, which is the caller's to fix.

    Raises:
        ValueError: If there are no members, or one of the arguments cannot be trained.
    """
    check_task(task)
    check_settings(settings)
    if not members:
        raise ValueError("A cohort must have at least one member, found none. Give one.")
    for member in members:
        check_member(member)
    device = torch.device(settings.device)
    shape = CohortShape(
        num_inputs=task.num_inputs,
        num_outputs=TASKS[task.kind].num_outputs(task),
        chunk_steps=chunk_steps(task, settings),
    )
    tiles = pack(members, shape, OPTIMIZERS[settings.optimizer], device)
    return CohortState(
        task=task,
        settings=settings,
        members=tuple(members),
        step=0,
        tiles=tiles,
        replicates={
            seed: begin_replicate(task, seed, device) for seed in {m.seed for m in members}
        },
        records=[Record() for _ in members],
    )


def advance(state: CohortState, num_steps: int) -> CohortState:
    """Train every live member up to ``num_steps`` further steps, in place, never past the end.

    Any sequence of calls that adds up to the same number of steps gives the same bits; a call
    that stops within a chunk of the data stream makes the next one draw that chunk again.

    Returns:
        The same state, moved on.

    Raises:
        ValueError: If ``num_steps`` is negative.
    """
    if num_steps < 0:
        raise ValueError(f"num_steps must be at least 0, found {num_steps}. Raise it.")
    target = min(state.step + num_steps, state.num_steps)
    chunk_length = state.chunk_steps
    workspaces: Workspaces = {}
    while state.tiles and state.step < target:
        chunk, first = divmod(state.step, chunk_length)
        last = min(first + target - state.step, chunk_length)
        for _, tiles in groupby(state.tiles, key=lambda tile: tile.seed):
            _train_seed_(state, list(tiles), chunk, range(first, last), workspaces)
        state.step += last - first
        if last == chunk_length or state.step == state.num_steps:
            state.tiles = list(_without_diverged(state, last))
    return state


def drop(state: CohortState, slots: Collection[int]) -> CohortState:
    """Take members out of training, in place; the others go on as if nothing had happened.

    What a dropped member was so far stays in its outcome's curve.

    Args:
        state: The cohort, moved on.
        slots: Places among its members, all of them still in training.

    Returns:
        The same state.

    Raises:
        ValueError: If one of them is not in training.
    """
    gone = sorted(set(slots) - set(state.live))
    if gone:
        raise ValueError(
            f"Members to drop must be in training, found {gone}; those in training are "
            f"{list(state.live)}. Drop some of these."
        )
    for slot in slots:
        state.records[slot].dropped_at = state.step
    dropped = set(slots)
    state.tiles = [
        tile
        for whole in state.tiles
        for tile in whole.keep([slot not in dropped for slot in whole.slots])
    ]
    forget_unused_replicates_(state)
    return state


def forget_unused_replicates_(state: CohortState) -> None:
    """Free what the members of a seed shared, once all of them are out of training."""
    seeds = {tile.seed for tile in state.tiles}
    state.replicates = {seed: one for seed, one in state.replicates.items() if seed in seeds}


def _train_seed_(
    state: CohortState,
    tiles: list[Tile],
    chunk: int,
    blocks: range,
    workspaces: Workspaces,
) -> None:
    """Train the tiles of one seed on some blocks of a chunk, drawn once for all of them."""
    began = time.perf_counter()
    samples = draw_chunk(
        state.replicates[tiles[0].seed], state.task, state.settings, tiles[0].seed, chunk
    )
    draw_s = (time.perf_counter() - began) / sum(len(tile.slots) for tile in tiles)
    for tile in tiles:
        began = time.perf_counter()
        key = (tile.weights.flat.shape, tile.nonlinearity)
        if key not in workspaces:
            workspaces[key] = workspace(
                tile, state.settings.batch_size, PRODUCT_DTYPES[state.settings.precision]
            )
        _train_tile_(state, tile, samples, blocks, workspaces[key])
        tile_s = (time.perf_counter() - began) / len(tile.slots)
        for slot in tile.slots:
            state.records[slot].train_s += draw_s + tile_s


def _train_tile_(
    state: CohortState, tile: Tile, samples: Samples, blocks: range, work: Workspace
) -> None:
    """Train one tile on some blocks of a chunk, stopping at the curve's steps to evaluate."""
    settings, passes = state.settings, work.passes
    update_ = OPTIMIZERS[settings.optimizer].update_
    steps = range(state.step, state.step + len(blocks))
    half_l1 = None if tile.l1 is None else (tile.l1 / 2).to(passes.error.dtype).view(-1, 1, 1)
    here = slice(blocks.start, blocks.stop)
    # Roots of sums of squares at first; the squares are taken for all steps at once.
    losses = tile.losses[:, here]
    if work.weights is None:
        passes.read_(tile.weights)
    for pace, loss, block in zip(
        _paces(tile, settings, steps), losses.unbind(1), samples.blocks(here), strict=True
    ):
        if work.weights is not None:
            work.weights.flat.copy_(tile.weights.flat)
        passes.forward_(block.inputs)
        block.targets.subtract_from_(passes)
        passes.error_norms_(loss)
        passes.gradients_(block.inputs, work.gradient, half_l1)
        if work.gradient is not work.gradient32:
            work.gradient32.flat.copy_(work.gradient.flat)
        update_(tile.moments, tile.weights, work.gradient32, work.direction, pace)
        if pace.step < settings.num_steps // 2:
            tile.weights.bias.mul_(tile.keeps)
        if _is_on_curve(pace.step + 1, settings.num_steps):
            _evaluate_(state, tile, pace.step + 1)
    losses.square_().div_(settings.batch_size)
    if state.step == 0:
        tile.first_losses.copy_(losses[:, 0])


def _paces(tile: Tile, settings: TrainingSettings, steps: range) -> Iterator[Pace]:
    schedule = SCHEDULES[settings.schedule]
    shares = torch.tensor(
        [schedule(step, settings.num_steps) for step in steps], device=tile.rates.device
    )
    # At once: in turn it would be a hundredth of the time of a step.
    yield from map(Pace, torch.split(tile.rates * shares, 1, dim=1), steps)


def _is_on_curve(steps_done: int, num_steps: int) -> bool:
    return steps_done & (steps_done - 1) == 0 or steps_done == num_steps


def _evaluate_(state: CohortState, tile: Tile, steps_done: int) -> None:
    """Add a point to the curve of each network of a tile that is finite, its held-out loss too."""
    replicate = state.replicates[tile.seed]
    _, width, num_inputs = tile.weights.encoder.shape
    signs = TASKS[state.task.kind].signs
    weights = split(torch.empty_like(tile.weights.flat[:1]), width, num_inputs)
    passes = passes_of(weights, tile.nonlinearity, HELD_OUT_BLOCK_SIZE, is_trained=False)
    for row, slot in enumerate(tile.slots):
        weights.flat.copy_(tile.weights.flat[row])
        loss = held_out_loss(passes, replicate.held_out)
        # Of a silent neuron's weights the loss may say nothing.
        if not (math.isfinite(loss) and weights.flat.isfinite().all()):
            continue
        probed = (
            weights,
            state.members[slot].num_neurons,
            replicate.device_projection,
            tile.nonlinearity,
        )
        found = neurons(*probed, signs)
        published = found if signs == PUBLISHED_SIGNS else neurons(*probed)
        point = evaluation(loss, found, published, state.task.num_features)
        record = state.records[slot]
        record.points.append((steps_done, point))
        record.neurons = found


def _without_diverged(state: CohortState, num_losses: int) -> Iterator[Tile]:
    """The tiles with diverged networks taken out and their reasons recorded."""
    zero_loss = TASKS[state.task.kind].zero_loss(state.task)
    for tile in state.tiles:
        means = tile.losses[:, :num_losses].mean(dim=1).tolist()
        for row, slot in enumerate(tile.slots):
            record = state.records[slot]
            first_loss = tile.first_losses[row].item()
            reason = divergence_reason(means[row], first_loss, zero_loss, state.step)
            if reason is None and state.step == state.num_steps:
                reason = _unfinished_reason(record, state.step)
            if reason is not None:
                record.diverged_at, record.reason = state.step, reason
        yield from tile.keep([state.records[slot].reason is None for slot in tile.slots])


def _unfinished_reason(record: Record, last_step: int) -> str | None:
    """Why a network has no metrics at the last step, or None if it has."""
    if record.points and record.points[-1][0] == last_step:
        return None
    return f"held-out loss is not finite at step {last_step}"


def outcomes(state: CohortState) -> tuple[Outcome, ...]:
    """What came of each member, in the order of members.

    Raises:
        ValueError: If the cohort is not finished.
    """
    check_finished(state)
    return tuple(outcome(record) for record in state.records)


def check_finished(state: CohortState) -> None:
    """Refuse a cohort that is still in training.

    Raises:
        ValueError: If it is.
    """
    if not state.finished:
        raise ValueError(
            f"The cohort must be finished, found it at step {state.step} of {state.num_steps}. "
            "Advance it to the end."
        )
