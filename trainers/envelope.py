"""Arrays with what is not an array beside them, as bytes: versioned, checksummed safetensors."""

import json
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

_KEYS = {"torch", "numpy", "content", "checksum"}


class EnvelopeError(ValueError):
    """Bytes that nothing of the kind asked for can be made of."""


class TruncatedError(EnvelopeError):
    """A part of the bytes is missing or damaged."""


class ForeignError(EnvelopeError):
    """The bytes are something else."""


class NewerError(EnvelopeError):
    """The bytes were written by a later version."""


class OlderError(EnvelopeError):
    """The bytes were written by an earlier version, in a format that is not read any more."""


@dataclass(frozen=True)
class Opened:
    """What bytes that are whole, ours and of our version hold.

    Attributes:
        content: What is not an array, as JSON has it.
        arrays: The arrays, by name.
        versions: Which torch and numpy wrote it, by name.
    """

    content: Any
    arrays: dict[str, Tensor]
    versions: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """One kind of bytes, and the words in which it is refused.

    Attributes:
        entry: The entry of the metadata that holds all that is no array, as JSON: safetensors
            keeps no order among several.
        format_version: Raise it with every change that an older version would misread.
        noun: What such bytes are called, with its article, as a sentence begins.
        found_in: What they are of, with its article if it has one.
        if_truncated: What to do where a part is missing or damaged.
        if_foreign: What to do where they are something else.
        if_older: What to do where an earlier version wrote them.
    """

    entry: str
    format_version: int
    noun: str
    found_in: str
    if_truncated: str
    if_foreign: str
    if_older: str

    def seal(self, content: Any, arrays: dict[str, Tensor]) -> bytes:
        """Content that JSON can hold and arrays on the CPU, contiguous, as bytes."""
        entry = {
            "format_version": self.format_version,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "content": content,
            "checksum": _checksum(content, arrays),
        }
        return save(arrays, {self.entry: json.dumps(entry)})

    def open(self, data: bytes) -> Opened:
        """What was sealed.

        Raises:
            TruncatedError: If a part is missing or damaged.
            ForeignError: If it is something else.
            NewerError: If a later version wrote it.
            OlderError: If an earlier version did.
        """
        metadata = self._metadata(data)
        if self.entry not in metadata:
            raise self._foreign("another's")
        entry = self._entry(metadata[self.entry])
        try:
            arrays = load(data)
        except SafetensorError as error:
            raise self._truncated(str(error)) from error
        if _checksum(entry["content"], arrays) != entry["checksum"]:
            raise self._truncated("its checksum is another")
        versions = {name: entry[name] for name in ("torch", "numpy")}
        return Opened(entry["content"], arrays, versions)

    def _entry(self, text: str) -> dict[str, Any]:
        """Our entry, of our version and with all its keys."""
        try:
            entry: dict[str, Any] = json.loads(text)
            format_version = int(entry["format_version"])
        except (ValueError, LookupError, TypeError) as error:
            raise self._truncated(f"its entry is garbled ({error!r})") from error
        if format_version > self.format_version:
            raise NewerError(
                f"{self.noun}'s version must be at most {self.format_version}, found "
                f"{format_version}. Install a later monosweep."
            )
        if format_version < self.format_version:
            raise OlderError(
                f"{self.noun}'s version must be {self.format_version}, found {format_version}. "
                f"{self.if_older}"
            )
        missing = _KEYS - entry.keys()
        if missing:
            raise self._truncated(f"its entry has no {' and no '.join(sorted(missing))}")
        return entry

    def _metadata(self, data: bytes) -> dict[str, str]:
        """The metadata of safetensors: eight bytes of length, then a JSON header that has it."""
        length = int.from_bytes(data[:8], "little")
        if len(data) < 8 or (data[8:9] in {b"", b"{"} and len(data) < 8 + length):
            raise self._truncated(f"it has {len(data)} bytes")
        try:
            header = json.loads(data[8 : 8 + length])
            return dict(header.get("__metadata__", {}))
        except (ValueError, AttributeError, TypeError) as error:
            raise self._foreign("no safetensors") from error

    def _foreign(self, found: str) -> ForeignError:
        return ForeignError(
            f"{self.noun} must be a safetensors file of {self.found_in}, found {found}. "
            f"{self.if_foreign}"
        )

    def _truncated(self, found: str) -> TruncatedError:
        return TruncatedError(
            f"{self.noun} must be whole, but a part is missing or damaged: {found}. "
            f"{self.if_truncated}"
        )


def group(arrays: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The arrays whose names begin with ``prefix``, without it."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _checksum(content: Any, arrays: dict[str, Tensor]) -> int:
    checksum = zlib.crc32(json.dumps(content).encode())
    for name in sorted(arrays):
        checksum = zlib.crc32(name.encode(), checksum)
        # As bytes without a copy; an array without numbers has no view.
        if arrays[name].numel():
            checksum = zlib.crc32(arrays[name].numpy().data.cast("B"), checksum)
    return checksum
