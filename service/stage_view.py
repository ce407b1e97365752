"""What people are told of where a sweep stands for a server, which may have it wait."""

import time
from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]
# How long a cohort may wait before people hear of it: a worker takes some seconds to start.
PATIENCE_S = 30.0


def stage_of(status: Json) -> str:
    """Where a sweep stands: for its server, or, where it has none, by itself."""
    stage = str(status.get("stage", "unmanaged"))
    return str(status["state"]) if stage == "unmanaged" else stage


def stage_in_words(status: Json) -> str:
    """The same, and how many are before it in the queue."""
    stage, position = stage_of(status), status.get("position")
    return stage if stage != "queued" or position is None else f"{stage} (number {position})"


def waiting_in_words(status: Json) -> str | None:
    """That nothing of a sweep is trained, since there is no room for it; None where there is."""
    since, resolved = status.get("waiting_since"), status.get("resolved")
    waited_s = 0.0 if since is None else time.time() - since
    if resolved is None or waited_s < PATIENCE_S:
        return None
    cpus, gpus = resolved["cpus"], resolved["gpus"]
    needed = f"{cpus:g} CPU{'s' * (cpus != 1)}"
    if gpus:
        needed += f" and {gpus:g} GPU{'s' * (gpus > 1)}"
    return (
        f"Nothing of it is trained: for {waited_s / 60:.0f} min a cohort has waited for {needed} "
        "on one machine. "
        "Others may have them: it goes on when they end."
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
