"""How far the database's clock is ahead of this machine's, and how long it takes to ask for it."""

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from service.errors import LedgerAwayError
from service.home import without_password
from service.ledger.connections import unanswered
from service.ledger.opening import engine_for
from service.ledger.tables import time_now


@dataclass(frozen=True)
class Reading:
    """Another clock, read over a network.

    Attributes:
        ahead_s: How far it is ahead of this machine's, if it was read half way; otherwise off by
            ``uncertainty_s`` at most.
        round_trip_s: How long the answer took.
    """

    ahead_s: float
    round_trip_s: float

    @property
    def uncertainty_s(self) -> float:
        """How much nearer or farther the other clock may be."""
        return self.round_trip_s / 2


def read(ask: Callable[[], float]) -> Reading:
    """Read a clock once.

    Args:
        ask: Brings its seconds since 1970.
    """
    wall, began = time.time(), time.perf_counter()
    there = ask()
    round_trip_s = time.perf_counter() - began
    return Reading(there - (wall + round_trip_s / 2), round_trip_s)


def surest(readings: Iterable[Reading]) -> Reading:
    """Of several readings of one clock the one that is least uncertain."""
    return min(readings, key=lambda reading: reading.round_trip_s)


def database_clock(url: str, num_readings: int) -> list[Reading]:
    """Readings of the clock of the ledger's database, over one connection.

    Args:
        url: A SQLAlchemy URL; nothing is made where there is no database.
        num_readings: How many.

    Returns:
        The readings; none where the ledger is a file that is not there yet.

    Raises:
        UserError: If the URL is none, or the database refuses us.
        LedgerAwayError: If it does not answer.
    """
    engine = engine_for(url)
    if engine.dialect.name == "sqlite" and not Path(str(engine.url.database)).exists():
        return []
    try:
        with closing(engine.connect()) as connection:
            time_now(connection)  # opens the transaction, which is no part of a round trip
            return [read(lambda: time_now(connection)) for _ in range(num_readings)]
    except LedgerAwayError as error:
        raise unanswered(error, without_password(url)) from error
    finally:
        engine.dispose()
