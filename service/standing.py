"""What became of each confirmed setting, as a verdict of any version has it."""

from collections.abc import Mapping
from typing import Any

from service.confirmation import BASELINE

Json = Mapping[str, Any]

WINNER, PASSES, FAILS = "wins", "passes", "does not pass"
REFERENCE, BESIDE = "baseline", "cannot win"


def rows_of(verdict: Json) -> list[Json]:
    """The confirmed settings: the baseline, the winner, the others."""
    finalists = sorted(verdict["finalists"], key=lambda row: standing(row, verdict) != WINNER)
    return [verdict["baseline"], *finalists]


def is_finalist(row: Json) -> bool:
    """Whether a confirmed setting can win."""
    # Verdicts of the first versions have nobody else beside the baseline.
    return bool(row.get("is_finalist", row["role"] != BASELINE))


def standing(row: Json, verdict: Json) -> str:
    """What became of a confirmed setting."""
    if verdict["winner"] and verdict["winner"]["role"] == row["role"]:
        return WINNER
    if not is_finalist(row):
        return REFERENCE if row["role"] == BASELINE else BESIDE
    return PASSES if row["passes"] else FAILS
