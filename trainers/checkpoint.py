"""A cohort's state to bytes and back: safetensors, with what is not an array as JSON beside it.

Projections, held-out samples and the data stream are drawn again from the seeds. A cohort that goes
on from its bytes does exactly what it would have done without the stop, on one kind of processor.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainers.envelope import Envelope, group
from trainers.evaluation import Evaluation, Neurons
from trainers.outcome import Record
from trainers.settings import Member, Task, TrainingSettings
from trainers.tiles import Tile
from trainers.training import CohortState, begin, forget_unused_replicates_

CHECKPOINT = Envelope(
    entry="monosweep cohort",
    format_version=3,
    noun="A checkpoint",
    found_in="a cohort",
    if_truncated="Go on from the one before it.",
    if_foreign="Give the file that a cohort wrote.",
    if_older="Go on with the monosweep that wrote it, or begin the cohort anew.",
)
KINDS = ("monosemantic", "polysemantic", "dead")


def to_bytes(state: CohortState) -> bytes:
    """A cohort's full state."""
    arrays: dict[str, Tensor] = {}
    for index, tile in enumerate(state.tiles):
        for name, array in _tile_arrays(tile).items():
            arrays[f"tiles.{index}.{name}"] = array.detach().cpu().contiguous()
    for slot, record in enumerate(state.records):
        if record.neurons is not None:
            for name, array in _neuron_arrays(record.neurons).items():
                arrays[f"neurons.{slot}.{name}"] = array
    content = {
        "task": asdict(state.task),
        "settings": asdict(state.settings),
        "members": [asdict(member) for member in state.members],
        "step": state.step,
        "tiles": [tile.slots for tile in state.tiles],
        "records": [_record_content(record) for record in state.records],
    }
    return CHECKPOINT.seal(content, arrays)


def from_bytes(data: bytes) -> CohortState:
    """The cohort that was written, at the step where it was.

    Raises:
        EnvelopeError: As ``Envelope.open``.
    """
    opened = CHECKPOINT.open(data)
    content, arrays = opened.content, opened.arrays
    state = begin(
        Task(**content["task"]),
        TrainingSettings(**content["settings"]),
        [Member(**member) for member in content["members"]],
    )
    state.step = content["step"]
    state.tiles = [
        _tile(state.tiles, slots, group(arrays, f"tiles.{index}."))
        for index, slots in enumerate(content["tiles"])
    ]
    state.records = [
        _record(record, group(arrays, f"neurons.{slot}."))
        for slot, record in enumerate(content["records"])
    ]
    forget_unused_replicates_(state)
    return state


def versions(data: bytes) -> dict[str, str]:
    """Which torch and numpy wrote the bytes, by name; others may give other bits.

    Raises:
        EnvelopeError: As ``Envelope.open``.
    """
    return CHECKPOINT.open(data).versions


def _tile_arrays(tile: Tile) -> dict[str, Tensor]:
    """What of a tile cannot be made anew from its members."""
    moments = {f"moments.{index}": moment.flat for index, moment in enumerate(tile.moments)}
    return {
        "weights": tile.weights.flat,
        **moments,
        "first_losses": tile.first_losses,
        "losses": tile.losses,
    }


def _tile(fresh: Sequence[Tile], slots: list[int], saved: dict[str, Tensor]) -> Tile:
    """A fresh tile's rows of these slots, with the saved arrays in it."""
    (tile,) = (one for one in fresh if slots[0] in one.slots)
    tile = tile.rows([tile.slots.index(slot) for slot in slots])
    for name, array in _tile_arrays(tile).items():
        array.copy_(saved[name])
    return replace(tile, slots=tuple(slots))


def _neuron_arrays(found: Neurons) -> dict[str, Tensor]:
    columns = {name: getattr(found, name) for name in ("bias", "concentration", "strength")}
    columns["feature"] = found.feature
    columns["kind"] = np.array([KINDS.index(kind) for kind in found.kind], dtype=np.int8)
    return {name: torch.from_numpy(column.copy()) for name, column in columns.items()}


def _record_content(record: Record) -> dict[str, Any]:
    return {
        "points": [[step, asdict(evaluation)] for step, evaluation in record.points],
        "diverged_at": record.diverged_at,
        "reason": record.reason,
        "dropped_at": record.dropped_at,
        "train_s": record.train_s,
    }


def _record(content: dict[str, Any], arrays: dict[str, Tensor]) -> Record:
    points = [(step, Evaluation(**evaluation)) for step, evaluation in content["points"]]
    found = None
    if arrays:
        columns = {name: array.numpy() for name, array in arrays.items()}
        columns["kind"] = np.array(KINDS)[columns["kind"]]
        found = Neurons(**columns)
    return Record(
        points=points,
        neurons=found,
        diverged_at=content["diverged_at"],
        reason=content["reason"],
        dropped_at=content["dropped_at"],
        train_s=content["train_s"],
    )
