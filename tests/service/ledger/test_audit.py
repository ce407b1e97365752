"""Who did what is kept in order, whatever becomes of the sweep."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from service.ledger import Ledger, audit


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with closing(Ledger(ledger_url)) as ledger:
        yield ledger


DEED = audit.Deed(
    who="ada", role="admin", client="127.0.0.1", action="stop", sweep="gone", status=202
)


def test_the_newest_come_first_and_carry_a_time(ledger: Ledger) -> None:
    for status in (202, 403, 404):
        audit.record(ledger.engine, replace(DEED, status=status))
    found = audit.deeds(ledger.engine, limit=2)
    assert [one.status for one in found] == [404, 403]
    assert found[0].at >= found[1].at > 1.7e9
    assert replace(found[0], at=0.0, status=202) == DEED
