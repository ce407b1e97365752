"""Whether a claim held: evidence in numbers, each piece judged by a rule that is fixed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from service.verdict import Json

Held = Literal["held", "held in part", "not held", "not tested"]


def held_in(cases: Sequence[bool]) -> Held:
    """Of something that must hold in each case: in all, in some, in none; or there is no case."""
    if not cases:
        return "not tested"
    if all(cases):
        return "held"
    return "held in part" if any(cases) else "not held"


def together(verdicts: Iterable[Held]) -> Held:
    """Of something that says several things; what was not tested says nothing."""
    different = set(verdicts) - {"not tested"}
    if not different:
        return "not tested"
    return different.pop() if len(different) == 1 else "held in part"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One thing that a claim says, and what was measured.

    Attributes:
        says: What should hold, with the rule that decides.
        measured: The numbers, in words.
        verdict: Whether it held.
    """

    says: str
    measured: str
    verdict: Held

    def as_json(self) -> Json:
        """``{says, measured, verdict}``."""
        return {"says": self.says, "measured": self.measured, "verdict": self.verdict}


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A claim and its evidence.

    Attributes:
        statement: The claim, in one sentence.
        evidence: What it says, piece by piece.
    """

    statement: str
    evidence: tuple[Evidence, ...]

    @property
    def verdict(self) -> Held:
        """Held if all of it held, not held if nothing did, else in part."""
        return together(piece.verdict for piece in self.evidence)

    @property
    def sentence(self) -> str:
        """The verdict in one sentence, with the numbers that it stands on."""
        pieces = "; ".join(piece.measured for piece in self.evidence)
        return f"{self.verdict.capitalize()}: {pieces}."

    def as_json(self) -> Json:
        """For programs."""
        return {
            "statement": self.statement,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "evidence": [piece.as_json() for piece in self.evidence],
        }
