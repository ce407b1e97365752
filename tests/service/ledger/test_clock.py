"""Clocks that are ahead by what the test says, and a real database's."""

import time
from pathlib import Path

import pytest

from service.errors import LedgerAwayError, UserError
from service.ledger import Ledger
from service.ledger.clock import database_clock, read, surest


def test_a_clock_is_ahead_by_what_it_shows_half_way() -> None:
    def ask() -> float:
        time.sleep(0.1)
        there = time.time() + 30.0
        time.sleep(0.1)
        return there

    reading = read(ask)
    assert reading.round_trip_s >= 0.2
    assert reading.uncertainty_s == reading.round_trip_s / 2
    assert abs(reading.ahead_s - 30.0) <= reading.uncertainty_s


def test_a_database_on_this_machine_has_its_clock(ledger_url: str) -> None:
    Ledger(ledger_url).close()
    readings = database_clock(ledger_url, 3)
    assert len(readings) == 3
    best = surest(readings)
    assert best.round_trip_s == min(one.round_trip_s for one in readings) > 0.0
    # SQLite's clock has a resolution of a millisecond.
    assert abs(best.ahead_s) <= best.uncertainty_s + 0.002


def test_looking_makes_no_ledger_and_says_what_keeps_it_away(tmp_path: Path) -> None:
    assert database_clock(f"sqlite:///{tmp_path / 'ledger.db'}", 3) == []
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(LedgerAwayError, match="does not answer"):
        database_clock("postgresql+psycopg://u:hunter2@127.0.0.1:9/x", 1)
    with pytest.raises(UserError, match="must be a SQLite file or a PostgreSQL database"):
        database_clock("nonsense", 1)
