"""Two servers on one ledger, one of them just told of what the other one knew a moment ago."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from service.api.app import create_app
from service.api.limits import Limits
from service.ledger import Ledger, queue


@pytest.fixture
def other(
    served: Any, listening: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The URL of a second server, which would go on for minutes with what it has read."""
    monkeypatch.setattr("service.api.board._SHARE", 0)
    with closing(Ledger(served.home.ledger_url)) as ledger:
        app = create_app(ledger, served.home, jobs=served.jobs, wake=lambda: None, limits=Limits())
        board = app.state.backing.board
        for looks in (board._rosters, board._statuses):
            looks._max_age_s = 600.0
        with listening(app) as url:
            yield url


def get(served: Any, url: str) -> httpx.Response:
    return httpx.get(url, headers=served.bearing("vera"), timeout=30)


def test_what_one_takes_the_other_knows(served: Any, other: str, tiny_text: str) -> None:
    assert get(served, f"{other}/v1/sweeps").json()["sweeps"] == []
    assert served.submit(tiny_text).status_code == 201
    assert get(served, f"{other}/v1/sweeps/tiny").json()["stage"] == "queued"
    assert get(served, f"{other}/v1/sweeps/nosuch").status_code == 404


def test_what_one_resumes_has_no_end_at_the_other(served: Any, other: str, tiny_text: str) -> None:
    served.submit(tiny_text)
    served.post("/v1/sweeps/tiny/stop")
    assert get(served, f"{other}/v1/sweeps/tiny").json()["stage"] == "stopped"
    served.post("/v1/sweeps/tiny/resume")
    kinds = []
    with httpx.stream(
        "GET", f"{other}/v1/sweeps/tiny/events", headers=served.bearing("vera"), timeout=30
    ) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                kinds.append(json.loads(line.removeprefix("data: "))["stage"])
                if len(kinds) > 1:
                    break
                queue.stop(served.ledger.engine, "tiny")
                httpx.post(
                    f"{other}/v1/sweeps/tiny/stop", headers=served.bearing("ann"), timeout=30
                )
    assert kinds == ["queued", "stopped"]
