"""Tokens: shown once, kept as a hash, good until they are revoked."""

from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256

import pytest
from sqlalchemy import text

from service.errors import TokenError
from service.ledger import Ledger, tokens


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with closing(Ledger(ledger_url)) as ledger:
        yield ledger


def test_a_token_says_whose_it_is(ledger: Ledger) -> None:
    token = tokens.create(ledger.engine, "ada", "submitter")
    assert tokens.caller(ledger.engine, token) == tokens.Caller("ada", "submitter")
    (known,) = tokens.known(ledger.engine)
    assert (known.name, known.role, known.revoked_at) == ("ada", "submitter", None)


def test_only_a_hash_is_kept(ledger: Ledger) -> None:
    token = tokens.create(ledger.engine, "ada", "admin")
    secret = token.removeprefix("monosweep_").partition("_")[2]
    with ledger.engine.connect() as connection:
        (row,) = connection.execute(text("SELECT * FROM monosweep_tokens"))
    assert secret not in str(tuple(row))
    assert row.hash == sha256(secret.encode()).hexdigest()
    # 256 random bits, in base 64.
    assert len(secret) == 43


@pytest.mark.parametrize("cut", ["", "monosweep_", "monosweep__", "x", "monosweep_{id}_", "{id}"])
def test_what_is_no_token_is_nobodys(ledger: Ledger, cut: str) -> None:
    token = tokens.create(ledger.engine, "ada", "admin")
    token_id = token.split("_")[1]
    assert tokens.caller(ledger.engine, cut.format(id=token_id)) is None
    assert tokens.caller(ledger.engine, token[:-1]) is None
    assert tokens.caller(ledger.engine, f"{token}x") is None


def test_a_revoked_one_is_nobodys_and_its_name_is_free(ledger: Ledger) -> None:
    token = tokens.create(ledger.engine, "ada", "admin")
    with pytest.raises(TokenError, match="found a good token named 'ada'"):
        tokens.create(ledger.engine, "ada", "viewer")
    tokens.revoke(ledger.engine, "ada")
    assert tokens.caller(ledger.engine, token) is None
    with pytest.raises(TokenError, match="found none at all"):
        tokens.revoke(ledger.engine, "ada")
    again = tokens.create(ledger.engine, "ada", "viewer")
    assert tokens.caller(ledger.engine, again) == tokens.Caller("ada", "viewer")
    assert tokens.caller(ledger.engine, token) is None


def test_roles_include_those_before_them() -> None:
    may = {
        role: [one for one in tokens.ROLES if tokens.Caller("ada", role).may(one)]
        for role in tokens.ROLES
    }
    assert may == {
        "viewer": ["viewer"],
        "submitter": ["viewer", "submitter"],
        "admin": ["viewer", "submitter", "admin"],
    }
