"""Where a sweep stands, in words for people."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from service.objective import in_words
from service.report.words import UNKNOWN
from service.stage_view import waiting_in_words
from service.trials import PHASES, TITLES

Json = Mapping[str, Any]

_SENTENCES = {
    "queued": "It waits for its turn.",
    "starting": "Its driver is being started.",
    "running": "It is at work.",
    "stopping": "Its driver leaves a checkpoint and ends.",
    "stopped": "It was stopped, and goes on from its checkpoints when it is resumed.",
    "waiting": "Its last driver came to nothing; the next one is started after a pause.",
    "finished": "It has its verdict.",
    "failed": "It has failed, and no driver is started until somebody resumes it.",
    "deleting": "It is being deleted.",
    "unmanaged": "It is run without this server.",
}


def sentence(found: Json) -> str:
    """Where a sweep stands, in a sentence."""
    stage, position = found["stage"], found["position"]
    if stage == "queued" and position is not None:
        before = position - 1
        return (
            "It waits for its turn, which is next."
            if not before
            else f"It waits for its turn, after {before} {'other' if before == 1 else 'others'}."
        )
    if stage == "running":
        return waiting_in_words(found) or f"It is at work on its {found['phase']}."
    return _SENTENCES[stage]


def num_ended(counts: Mapping[str, int]) -> int:
    """How many trials have ended, however."""
    return counts["complete"] + counts["pruned"] + counts["failed"]


def phases(found: Json) -> list[tuple[str, str]]:
    """Each phase that has trials, and how many there are in which state."""
    rows = []
    for phase in PHASES:
        counts = found["trials"] if phase == "search" else found["phases"][phase]
        known = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)
        if known:
            rows.append((TITLES[phase], known))
    return rows


def goals(found: Json) -> list[tuple[str, str]]:
    """What the sweep is after, and how far its best trial so far has come."""
    best = found["best"]
    if best is None:
        return []
    return [(in_words(goal["name"]), number(best[goal["name"]])) for goal in found["objectives"]]


def number(value: float | None) -> str:
    """A result, with as many digits as are compared."""
    return UNKNOWN if value is None else f"{value:,.4g}"


def age(since: float | None) -> str:
    """How long ago that was, in seconds since 1970, by clocks that may differ a little."""
    if since is None:
        return UNKNOWN
    seconds = max(time.time() - since, 0.0)
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def iso(seconds: float) -> str:
    """A time as HTML has it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
