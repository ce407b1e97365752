"""Sessions: short-lived, ended with their token, and kept as a hash."""

from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256

import pytest
from sqlalchemy import text

from service.ledger import Ledger, sessions, tokens
from service.ledger.tokens import Caller


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with closing(Ledger(ledger_url)) as ledger:
        yield ledger


def begun(ledger: Ledger, name: str = "ada") -> str:
    found = sessions.begin(ledger.engine, tokens.create(ledger.engine, name, "submitter"))
    assert found is not None
    secret, caller = found
    assert caller == Caller(name, "submitter")
    return secret


def expire(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(text("UPDATE monosweep_sessions SET expires_at = 1"))


def rows(ledger: Ledger) -> list[tuple[object, ...]]:
    with ledger.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text("SELECT * FROM monosweep_sessions"))]


def test_a_session_says_whose_it_is(ledger: Ledger) -> None:
    assert sessions.caller(ledger.engine, begun(ledger)) == Caller("ada", "submitter")


def test_only_a_hash_is_kept_and_the_secret_is_not_the_token(ledger: Ledger) -> None:
    token = tokens.create(ledger.engine, "ada", "admin")
    found = sessions.begin(ledger.engine, token)
    assert found is not None
    ((kept, token_id, _),) = rows(ledger)
    assert kept == sha256(found[0].encode()).hexdigest()
    assert str(token_id) in token
    assert found[0] not in token
    assert tokens.caller(ledger.engine, found[0]) is None


@pytest.mark.parametrize("token", ["", "monosweep_", "no token"])
def test_nobody_begins_one_without_a_good_token(ledger: Ledger, token: str) -> None:
    assert sessions.begin(ledger.engine, token) is None
    assert sessions.caller(ledger.engine, token) is None
    assert rows(ledger) == []


def test_it_ends_with_its_token(ledger: Ledger) -> None:
    ours, other = begun(ledger), begun(ledger, "grace")
    tokens.revoke(ledger.engine, "ada")
    assert sessions.caller(ledger.engine, ours) is None
    assert sessions.caller(ledger.engine, other) == Caller("grace", "submitter")


def test_it_is_over_after_its_time_and_forgotten_when_the_next_begins(ledger: Ledger) -> None:
    secret = begun(ledger)
    expire(ledger)
    assert sessions.caller(ledger.engine, secret) is None
    begun(ledger, "grace")
    assert len(rows(ledger)) == 1


def test_it_lasts_half_a_day(ledger: Ledger) -> None:
    begun(ledger)
    with ledger.engine.connect() as connection:
        query = (
            "SELECT s.expires_at - t.created_at FROM monosweep_sessions s "
            "JOIN monosweep_tokens t ON t.token_id = s.token_id"
        )
        assert 43_200 <= (connection.scalar(text(query)) or 0.0) < 43_260


def test_whoever_logs_out_ends_that_one_only(ledger: Ledger) -> None:
    token = tokens.create(ledger.engine, "ada", "viewer")
    first, second = (sessions.begin(ledger.engine, token) for _ in range(2))
    assert first is not None
    assert second is not None
    sessions.end(ledger.engine, first[0])
    assert sessions.caller(ledger.engine, first[0]) is None
    assert sessions.caller(ledger.engine, second[0]) == Caller("ada", "viewer")
