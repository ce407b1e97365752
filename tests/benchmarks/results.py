"""The file that a benchmark of ours alone writes, in the form that all of them have."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from service.machine import versions


def row(case: str, ours: float, unit: str = "s") -> dict[str, Any]:
    """A figure that no other program's stands beside."""
    return {"case": case, "ours": ours, "other": None, "ratio": None, "unit": unit}


def write(
    output: Path,
    rows: Sequence[Mapping[str, Any]],
    libraries: Iterable[str],
    *,
    memory: Mapping[str, float] | None = None,
    breakdown: Mapping[str, Any] | None = None,
) -> None:
    """Write it, its folder included.

    Args:
        output: Where to.
        rows: What was measured.
        libraries: Those that it depends on, whose versions are told.
        memory: Bytes, by case.
        breakdown: Where the time goes, by case.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    found = {
        "machine": {"processor": versions()["processor"], "cores": os.cpu_count()},
        "versions": {name: version(name) for name in libraries},
        "rows": rows,
        "limit": None,
        "memory": memory,
        "breakdown": breakdown,
    }
    output.write_text(json.dumps(found, indent=2) + "\n")
