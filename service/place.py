"""Where sweeps are looked up and looked after: this home, or a server. Commands are the same."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

Json = dict[str, Any]


class Table(StrEnum):
    """What of a sweep is exported."""

    TRIALS = "trials"
    CURVES = "curves"
    NEURONS = "neurons"


TABLES = tuple(Table)


@dataclass(frozen=True)
class Answer:
    """What came of a sweep.

    Attributes:
        verdict: As ``monosweep best NAME --json`` prints it.
        state: Where the sweep stands if that is no verdict yet, otherwise None.
    """

    verdict: Json
    state: str | None


@dataclass(frozen=True)
class Extent:
    """What goes with a sweep.

    Attributes:
        num_trials: Its trials.
        num_bytes: Its files, those of MLflow on this machine included; None where that is not
            known from here.
        verdict: The verdict in words, or None.
        is_begun: Whether somebody began to delete it before.
    """

    num_trials: int
    num_bytes: int | None
    verdict: str | None
    is_begun: bool = False


class Place(Protocol):
    """Where sweeps are. Every method that names a sweep raises SweepNotFoundError if it is none."""

    @property
    def again(self) -> str:
        """What a further command must be told to look at the same place: empty, or an option."""

    @property
    def tracking_uri(self) -> str | None:
        """Where MLflow has the runs; None where only others know."""

    def statuses(self) -> list[Json]:
        """Where all sweeps stand, oldest first."""

    def status(self, name: str) -> Json:
        """Where a sweep stands; see ``service.status.status``."""

    def answer(self, name: str) -> Answer:
        """What came of it."""

    def follow(self, name: str, show: Callable[[Json], None]) -> Json:
        """Show where a sweep stands until nobody is at work on it; where it stands then."""

    def stop(self, name: str) -> Json:
        """Have its driver leave, and wait until it has; where the sweep stands then.

        Raises:
            UserError: If there is none, or it is not to be stopped from here.
        """

    def export(self, name: str, folder: Path, tables: Collection[str] = TABLES) -> list[Path]:
        """Write its tables, or some of them, into a folder; the files written.

        Raises:
            UserError: If the folder cannot be written to.
        """

    def page(self, name: str) -> Path:
        """Where its page is written where nothing else is said."""

    def report(self, name: str, path: Path) -> None:
        """Write its page.

        Raises:
            UserError: If the file cannot be written.
        """

    def extent(self, name: str) -> Extent:
        """What deleting it would take away."""

    def delete(self, name: str) -> None:
        """Delete it everywhere, or go on with a deletion that was stopped.

        Raises:
            UserError: If a driver is at work on it.
        """
