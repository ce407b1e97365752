"""The budgets of a search beside its number of trials, and how it is told that one ended it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from service.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Closed:
    """Why a search ended before its number of trials.

    Attributes:
        budget: The key of ``search`` in the sweep file.
        limit: Its value.
        num_asked: Trials that were asked for, and that the search now has.
        num_trials: Trials that it might have had.
    """

    budget: str
    limit: float
    num_asked: int
    num_trials: int

    def as_json(self) -> dict[str, Any]:
        """Field by field."""
        return asdict(self)

    def lifted(self, num_trials: int) -> str:
        """What is said when the search is extended past it, to this many trials."""
        return (
            f"search.{self.budget}: {self.limit:g} had ended the search after {self.num_asked} "
            f"trials. It counts no more: the search goes on to {num_trials}."
        )

    @property
    def sentence(self) -> str:
        """For people."""
        return (
            f"The search ended after {self.num_asked} of {self.num_trials} trials: "
            f"{_WORDS[self.budget](self.limit)}."
        )


def _hours(limit: float) -> str:
    return (
        f"{limit:g} hour at work was over" if limit == 1 else f"{limit:g} hours at work were over"
    )


# In the order in which they are named where several are exhausted at once.
_WORDS: Mapping[str, Callable[[float], str]] = {
    "max_training_steps": lambda limit: f"{limit:.0f} training steps were done",
    "max_hours": _hours,
    "patience": lambda limit: f"{limit:.0f} in a row brought nothing better that is feasible",
}


def limits_of(spec: Spec) -> dict[str, float]:
    """The budgets that a sweep file gives its search, beside the number of trials."""
    given = {name: getattr(spec.search, name) for name in _WORDS}
    return {name: limit for name, limit in given.items() if limit is not None}
