"""The file that a benchmark writes, in the form that all of them have."""

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


def whole(
    rows: Sequence[Mapping[str, Any]],
    libraries: Iterable[str],
    *,
    machine: Mapping[str, Any] | None = None,
    limit: Any = None,
    memory: Mapping[str, Any] | None = None,
    breakdown: Any = None,
    **more: Any,
) -> dict[str, Any]:
    """All that a benchmark found, as it is written.

    Args:
        rows: What was measured.
        libraries: Those that it depends on, whose versions are told.
        machine: What is told of it besides its processor and its cores, or instead.
        limit: What the figures are to be, or could be at best.
        memory: Bytes, by case.
        breakdown: Where the time goes, by case.
        more: What this benchmark alone tells.
    """
    return {
        "machine": {
            "processor": versions()["processor"],
            "cores": os.cpu_count(),
            **(machine or {}),
        },
        "versions": {name: version(name) for name in libraries},
        "rows": rows,
        "limit": limit,
        "memory": memory,
        "breakdown": breakdown,
        **more,
    }


def write(output: Path, found: Mapping[str, Any]) -> None:
    """Write it as JSON, its folder included."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(found, indent=2) + "\n")
