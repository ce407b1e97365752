"""A cohort's state to bytes and back: safetensors, with what is not an array as JSON beside it.

Projections, held-out samples and the data stream are drawn again from the seeds. A cohort that goes
on from its bytes does exactly what it would have done without the stop, on one kind of processor.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from trainers.evaluation import Evaluation, Neurons
from trainers.outcome import Record
from trainers.settings import Member, Task, TrainingSettings
from trainers.tiles import Tile
from trainers.training import CohortState, begin, forget_unused_replicates_

# One entry of the metadata holds everything, in JSON: safetensors keeps no order among several.
ENTRY = "monosweep cohort"
# Raise it with every change that an older version would misread.
FORMAT_VERSION = 3
KINDS = ("monosemantic", "polysemantic", "dead")


class CheckpointError(ValueError):
    """Bytes that no cohort can be made of."""


class TruncatedCheckpointError(CheckpointError):
    """A part of the bytes is missing or damaged."""


class ForeignCheckpointError(CheckpointError):
    """The bytes are something else."""


class NewerCheckpointError(CheckpointError):
    """The bytes were written by a later version."""


class OlderCheckpointError(CheckpointError):
    """The bytes were written by an earlier version, in a format that is not read any more."""


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
    entry = {
        "format_version": FORMAT_VERSION,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "content": content,
        "checksum": _checksum(content, arrays),
    }
    return save(arrays, {ENTRY: json.dumps(entry)})


def from_bytes(data: bytes) -> CohortState:
    """The cohort that was written, at the step where it was.

    Raises:
        TruncatedCheckpointError: If a part is missing or damaged.
        ForeignCheckpointError: If it is not a cohort's state.
        NewerCheckpointError: If a later version wrote it.
        OlderCheckpointError: If an earlier version did.
    """
    entry, arrays = _read(data)
    content = entry["content"]
    state = begin(
        Task(**content["task"]),
        TrainingSettings(**content["settings"]),
        [Member(**member) for member in content["members"]],
    )
    state.step = content["step"]
    state.tiles = [
        _tile(state.tiles, slots, _group(arrays, f"tiles.{index}."))
        for index, slots in enumerate(content["tiles"])
    ]
    state.records = [
        _record(record, _group(arrays, f"neurons.{slot}."))
        for slot, record in enumerate(content["records"])
    ]
    forget_unused_replicates_(state)
    return state


def versions(data: bytes) -> dict[str, str]:
    """Which torch and numpy wrote the bytes, by name; others may give other bits.

    Raises:
        CheckpointError: As ``from_bytes``.
    """
    entry, _ = _read(data)
    return {name: entry[name] for name in ("torch", "numpy")}


def _read(data: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Our entry and the arrays of bytes that are whole, ours, and not newer than we are."""
    metadata = _metadata(data)
    if ENTRY not in metadata:
        raise _foreign("another's")
    try:
        entry = json.loads(metadata[ENTRY])
        format_version = int(entry["format_version"])
    except (ValueError, LookupError, TypeError) as error:
        raise _truncated(f"its entry is garbled ({error!r})") from error
    if format_version > FORMAT_VERSION:
        raise NewerCheckpointError(
            f"A checkpoint's version must be at most {FORMAT_VERSION}, found "
            f"{format_version}. Install a later monosweep."
        )
    if format_version < FORMAT_VERSION:
        raise OlderCheckpointError(
            f"A checkpoint's version must be {FORMAT_VERSION}, found {format_version}. "
            "Go on with the monosweep that wrote it, or begin the cohort anew."
        )
    missing = {"torch", "numpy", "content", "checksum"} - entry.keys()
    if missing:
        raise _truncated(f"its entry has no {' and no '.join(sorted(missing))}")
    try:
        arrays = load(data)
    except SafetensorError as error:
        raise _truncated(str(error)) from error
    if _checksum(entry["content"], arrays) != entry["checksum"]:
        raise _truncated("its checksum is another")
    return entry, arrays


def _metadata(data: bytes) -> dict[str, str]:
    """The metadata of safetensors: eight bytes of length, then a JSON header that has it."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or (data[8:9] in {b"", b"{"} and len(data) < 8 + length):
        raise _truncated(f"it has {len(data)} bytes")
    try:
        header = json.loads(data[8 : 8 + length])
        return dict(header.get("__metadata__", {}))
    except (ValueError, AttributeError, TypeError) as error:
        raise _foreign("no safetensors") from error


def _foreign(found: str) -> ForeignCheckpointError:
    return ForeignCheckpointError(
        f"A checkpoint must be a safetensors file of a cohort, found {found}. "
        "Give the file that a cohort wrote."
    )


def _truncated(found: str) -> TruncatedCheckpointError:
    return TruncatedCheckpointError(
        f"A checkpoint must be whole, but a part is missing or damaged: {found}. "
        "Go on from the one before it."
    )


def _checksum(content: dict[str, Any], arrays: dict[str, Tensor]) -> int:
    checksum = zlib.crc32(json.dumps(content).encode())
    for name in sorted(arrays):
        checksum = zlib.crc32(name.encode(), checksum)
        # As bytes without a copy; an array without numbers has no view.
        if arrays[name].numel():
            checksum = zlib.crc32(arrays[name].numpy().data.cast("B"), checksum)
    return checksum


def _group(arrays: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


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
