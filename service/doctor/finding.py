"""What is found of one part, and what the parts are found of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from service.home import Home
from service.ledger import Ledger, SweepRecord
from service.ownership import lies_here
from service.trials import Trial

_SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        part: ``ledger``, ``storage``, ``checkpoints`` or ``tracking``.
        message: What was found, a sentence.
        remedy: What ``mend`` does, or what a person must do where the message does not say it.
        mend: Sets it right and loses nothing; None where it cannot, or need not, be mended.
        is_well: Whether nothing is to be done.
    """

    part: str
    message: str
    remedy: str = ""
    mend: Callable[[], None] | None = None
    is_well: bool = False


@dataclass(frozen=True)
class Known:
    """What the ledger knows, read once for all parts.

    Attributes:
        home: Where everything lies.
        ledger: The open ledger.
        records: Every sweep.
        trials: The trials, by name, of those sweeps that nobody works on, nobody deletes, and of
            which no row is lost; only these are compared with what lies elsewhere.
    """

    home: Home
    ledger: Ledger
    records: Sequence[SweepRecord]
    trials: Mapping[str, Sequence[Trial]]

    @property
    def placed_here(self) -> list[SweepRecord]:
        """Of these the sweeps whose files lie in the home's storage, and had begun to be written.

        What else has their names belongs to the sweeps of another ledger.
        """
        return [
            record
            for record in self.records
            if record.name in self.trials
            and lies_here(record, self.home)
            and self.ledger.has_begun(record.name)
        ]


def listed(names: Sequence[str]) -> str:
    """The first few of many names."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
