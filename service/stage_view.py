"""What people are told of where a sweep stands for a server, which may have it wait."""

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]


def stage_of(status: Json) -> str:
    """Where a sweep stands: for its server, or, where it has none, by itself."""
    stage = str(status.get("stage", "unmanaged"))
    return str(status["state"]) if stage == "unmanaged" else stage


def stage_in_words(status: Json) -> str:
    """The same, and how many are before it in the queue."""
    stage, position = stage_of(status), status.get("position")
    return stage if stage != "queued" or position is None else f"{stage} (number {position})"


def waiting_in_words(status: Json) -> str | None:
    """That nothing of a sweep is trained, and what it waits for; None where something is."""
    if not status.get("waits_for_worker") or stage_of(status) != "running":
        return None
    resolved = status["resolved"]
    needed = f"{resolved['cpus']} CPU{'s' * (resolved['cpus'] != 1)}"
    if resolved["gpus"]:
        needed += f" and {resolved['gpus']:g} GPU{'s' * (resolved['gpus'] > 1)}"
    return (
        f"Nothing of it is trained: no worker has taken its next cohort ({needed} on one machine, "
        "which other sweeps may have), or one waits for the storage."
    )


def is_left(status: Json) -> bool:
    """Whether nobody is at work on it, nor will be unless somebody asks for it."""
    return stage_of(status) in ("interrupted", "stopped")


def server_lines(status: Json) -> list[str]:
    """What a server knows besides; empty of a sweep that has none."""
    owner = status.get("owner")
    if owner is None:
        return []
    priority = status.get("priority")
    submitted = f"server   submitted by {owner}" + (f", priority {priority}" if priority else "")
    problem = status.get("problem")
    return [submitted, *([f"         its last driver came to nothing: {problem}"] * bool(problem))]
