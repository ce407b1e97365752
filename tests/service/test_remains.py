from dataclasses import replace
from functools import partial

import pytest

from service.errors import LedgerError
from service.home import Home
from service.ledger import Ledger
from service.remains import refuse_remains, remains


def test_an_empty_home_has_none(home: Home) -> None:
    assert remains(home) == []
    home.path.mkdir()
    (home.path / "results").mkdir()
    (home.path / "ledger.db.lock").touch()
    refuse_remains(home)


def test_the_first_few_are_named(home: Home) -> None:
    for number in range(9):
        (home.path / "results" / f"sweep-{number}").mkdir(parents=True)
    with pytest.raises(LedgerError, match=r"sweep-3, and 5 more\)"):
        refuse_remains(home)


def test_no_password_is_shown(home: Home) -> None:
    (home.path / "results" / "tiny").mkdir(parents=True)
    elsewhere = replace(home, ledger_url="postgresql://ada:hunter2@db/x")
    with pytest.raises(LedgerError) as refused:
        refuse_remains(elsewhere)
    assert "hunter2" not in str(refused.value)


def test_a_second_ledger_may_begin_beside_the_homes_own(home: Home) -> None:
    """The home's own knows what is there."""
    (home.path / "results" / "tiny").mkdir(parents=True)
    second = replace(home, ledger_url=f"sqlite:///{home.path / 'second.db'}")
    with pytest.raises(LedgerError, match="the ledger is missing"):
        Ledger(second.ledger_url, on_missing=partial(refuse_remains, second))
    assert not (home.path / "second.db").exists()
    Ledger(home.ledger_url).close()
    Ledger(second.ledger_url, on_missing=partial(refuse_remains, second)).close()
