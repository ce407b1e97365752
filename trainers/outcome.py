"""What is known of a member while it trains, and what came of it."""

from dataclasses import dataclass, field

from trainers.evaluation import Curve, Evaluation, Neurons, curve


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of one member.

    Attributes:
        curve: Held-out metrics at steps 1, 2, 4, ... done and at the last.
        evaluation: The metrics at the last step; None if it diverged or was dropped.
        neurons: What its neurons answer to at the last step; None if it diverged or was dropped.
        diverged_at: Steps done when it was found to have diverged, or None.
        reason: Why, for people, or None.
        dropped_at: Steps done when it was dropped, or None.
        train_s: Its share of the wall time.
    """

    curve: Curve
    evaluation: Evaluation | None
    neurons: Neurons | None
    diverged_at: int | None
    reason: str | None
    dropped_at: int | None
    train_s: float


@dataclass
class Record:
    """What is known of one member so far."""

    points: list[tuple[int, Evaluation]] = field(default_factory=list)
    neurons: Neurons | None = None
    diverged_at: int | None = None
    reason: str | None = None
    dropped_at: int | None = None
    train_s: float = 0.0

    def is_training_at(self, step: int) -> bool:
        """Whether it was still in training with so many steps done, before anybody dropped it."""
        return (self.diverged_at is None or self.diverged_at > step) and (
            self.dropped_at is None or self.dropped_at >= step
        )

    def evaluation_at(self, step: int) -> Evaluation | None:
        """The metrics at a step of the curve, or None if they were not finite there."""
        return dict(self.points).get(step)


def outcome(record: Record) -> Outcome:
    """What came of a member that is at the end, diverged or was dropped."""
    survived = record.diverged_at is None and record.dropped_at is None
    return Outcome(
        curve=curve(record.points),
        evaluation=record.points[-1][1] if survived else None,
        neurons=record.neurons if survived else None,
        diverged_at=record.diverged_at,
        reason=record.reason,
        dropped_at=record.dropped_at,
        train_s=record.train_s,
    )
