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
    """Of something that says several things.

    It held if all of it was tested and held, and did not if nothing that was tested did. Where only
    some of it was tested and held, that is a part of it.
    """
    different = set(verdicts)
    tested = different - {"not tested"}
    if not tested:
        return "not tested"
    if tested == {"not held"}:
        return "not held"
    return "held" if different == {"held"} else "held in part"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One thing that a claim says, and what was measured.

    Attributes:
        says: What should hold, with the rule that decides.
        measured: The numbers, in words.
        verdict: Whether it held.
        is_note: Whether it stands beside the claim, and does not count for its verdict.
    """

    says: str
    measured: str
    verdict: Held
    is_note: bool = False

    def as_json(self) -> Json:
        """``{says, measured, verdict, is_note}``."""
        return {
            "says": self.says,
            "measured": self.measured,
            "verdict": self.verdict,
            "is_note": self.is_note,
        }


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
        """Held if all of it was tested and held, not held if nothing did, else in part."""
        return together(piece.verdict for piece in self._counted)

    @property
    def in_words(self) -> str:
        """The verdict, and how much of the claim it does not speak of: ``Held in part (...)``."""
        num = sum(piece.verdict == "not tested" for piece in self._counted)
        untested = f" ({num} of {len(self._counted)} parts not tested)"
        is_told = num and self.verdict != "not tested"
        return f"{self.verdict.capitalize()}{untested if is_told else ''}"

    @property
    def _counted(self) -> list[Evidence]:
        return [piece for piece in self.evidence if not piece.is_note]

    @property
    def sentence(self) -> str:
        """The verdict in one sentence, with the numbers that it stands on."""
        pieces = "; ".join(piece.measured for piece in self._counted)
        return f"{self.in_words}: {pieces}."

    def as_json(self) -> Json:
        """For programs."""
        return {
            "statement": self.statement,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "evidence": [piece.as_json() for piece in self.evidence],
        }
