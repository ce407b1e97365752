import socket
import time

import pytest
from sqlalchemy.engine import make_url

from service.errors import LedgerAwayError
from service.ledger import Ledger
from service.ledger.connections import options


def test_a_server_that_takes_connections_and_never_answers_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(options.__globals__["_PATIENCE"], "connect_timeout", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(LedgerAwayError, match=r"cannot be opened: .*timeout expired"):
            Ledger(f"postgresql+psycopg://nobody@127.0.0.1:{port}/none")
    assert time.monotonic() - began < 20


def test_what_the_url_says_of_patience_stays() -> None:
    url = make_url("postgresql+psycopg://u@host/db?connect_timeout=60")
    assert "connect_timeout" not in options(url)["connect_args"]
    assert options(url)["connect_args"]["tcp_user_timeout"] == 30_000
    # Other drivers have other words for it.
    assert set(options(make_url("postgresql+pg8000://u@host/db"))) == {"pool_pre_ping"}
    assert set(options(make_url("sqlite:///ledger.db"))) == {"pool_pre_ping"}
