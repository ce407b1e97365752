"""The contract of the ledger holds on every database that it can be in."""

from dataclasses import replace

import pytest

from service.home import Home


@pytest.fixture
def home(home: Home, ledger_url: str) -> Home:
    """A home of its own, once with its ledger on SQLite and once on PostgreSQL."""
    return replace(home, ledger_url=ledger_url)
