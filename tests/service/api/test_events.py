"""Following a sweep by server-sent events, over a real socket."""

import json
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import pytest

from service.api import board
from service.api.limits import Limits
from service.api.routes import events
from service.ledger import queue, release, take

PATIENCE_S = 30


def _events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """Kind and data of each event; comments as ``:``."""
    kind = ""
    for line in lines:
        if line.startswith(":"):
            yield ":", line[1:].strip()
        elif line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))


@pytest.fixture
def follow(live: tuple[Any, str]) -> Any:
    """``with follow(name) as stream``: the answer, still open."""
    served, url = live

    def opened(name: str, by: str = "vera") -> Any:
        return httpx.stream(
            "GET",
            f"{url}/v1/sweeps/{name}/events",
            headers=served.bearing(by),
            timeout=PATIENCE_S,
        )

    return opened


def test_whatever_changes_is_told_until_the_sweep_is_at_rest(
    live: tuple[Any, str], follow: Any, tiny_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.0)
    served, url = live
    headers = served.bearing("ann")
    httpx.post(f"{url}/v1/sweeps", json={"spec": tiny_text}, headers=headers, timeout=PATIENCE_S)
    with follow("tiny") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        told = _events(stream.iter_lines())
        kind, first = next(told)
        assert (kind, first["stage"], first["name"]) == ("status", "queued", "tiny")
        # Nothing has changed: it is said that somebody is still there.
        assert next(told) == (":", "at work")
        lease = take(served.ledger.engine, "tiny")
        running = next(event for event in told if event[0] == "status")
        assert running[1]["stage"] == "running"
        queue.stop(served.ledger.engine, "tiny")
        release(served.ledger.engine, lease)
        rest = [event for event in told if event[0] != ":"]
    assert rest[-1] == ("end", {"stage": "stopped"})
    assert rest[-2][1]["stage"] == "stopped"
    # Each is another one than before.
    assert all(one[1] != other[1] for one, other in pairwise(rest))


def test_a_sweep_that_is_deleted_is_gone(
    live: tuple[Any, str], follow: Any, tiny_text: str
) -> None:
    served, url = live
    headers = served.bearing("ann")
    httpx.post(f"{url}/v1/sweeps", json={"spec": tiny_text}, headers=headers, timeout=PATIENCE_S)
    with follow("tiny") as stream:
        told = _events(stream.iter_lines())
        assert next(told)[0] == "status"
        from service.ledger import tables

        with tables.writing(served.ledger.engine) as connection:
            connection.execute(tables.sweeps.delete())
        assert list(told)[-1] == ("end", {"stage": "gone"})


def test_a_client_that_leaves_ends_its_stream_and_a_server_that_ends_all(
    live: tuple[Any, str], follow: Any, tiny_text: str
) -> None:
    served, url = live
    backing = served.app.state.backing
    headers = served.bearing("ann")
    httpx.post(f"{url}/v1/sweeps", json={"spec": tiny_text}, headers=headers, timeout=PATIENCE_S)
    with follow("tiny") as stream:
        lines = stream.iter_lines()
        next(lines)
        assert backing.streams == {"vera": 1}
    _wait_until(lambda: not backing.streams)
    with follow("tiny") as stream:
        lines = stream.iter_lines()
        next(lines)
        began = time.monotonic()
        backing.closing.set()
        assert not [line for line in lines if line.startswith("event: end")]
        assert time.monotonic() - began < PATIENCE_S / 4


def test_many_who_follow_read_the_ledger_once(
    live: tuple[Any, str], follow: Any, tiny_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, url = live
    headers = served.bearing("ann")
    httpx.post(f"{url}/v1/sweeps", json={"spec": tiny_text}, headers=headers, timeout=PATIENCE_S)
    read = board.status.status
    num_read = 0

    def counted(*arguments: Any) -> Any:
        nonlocal num_read
        num_read += 1
        return read(*arguments)

    monkeypatch.setattr(board.status, "status", counted)
    served.app.state.backing.board._known.clear()
    told: list[str] = []

    def one() -> None:
        with follow("tiny") as stream:
            told.extend(kind for kind, _ in _events(stream.iter_lines()) if kind != ":")

    threads = [threading.Thread(target=one) for _ in range(10)]
    for thread in threads:
        thread.start()
    _wait_until(lambda: len(told) >= 10)
    queue.stop(served.ledger.engine, "tiny")
    for thread in threads:
        thread.join(PATIENCE_S)
    # Each was told of the queue, the stop and the end; and no trial was written meanwhile.
    assert sorted(told) == ["end"] * 10 + ["status"] * 20
    assert num_read == 1


def test_a_caller_may_have_so_many_streams(
    serve: Any, home: Any, listening: Any, tiny_text: str
) -> None:
    with serve(home, Limits(streams=1)) as served, listening(served.app) as url:
        headers = served.bearing("ann")
        httpx.post(
            f"{url}/v1/sweeps", json={"spec": tiny_text}, headers=headers, timeout=PATIENCE_S
        )
        place = f"{url}/v1/sweeps/tiny/events"
        with httpx.stream("GET", place, headers=headers, timeout=PATIENCE_S) as stream:
            lines = stream.iter_lines()
            next(lines)
            second = httpx.get(place, headers=headers, timeout=PATIENCE_S)
            assert second.status_code == 429
            assert second.json()["type"] == "urn:monosweep:too-many-calls"


def _wait_until(holds: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
