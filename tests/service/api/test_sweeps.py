"""Submitting, listing and showing sweeps, on SQLite and on PostgreSQL."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from service.api.limits import Limits
from service.home import Home
from service.ledger import queue
from service.status import status


@pytest.fixture
def served(serve: Any, home: Home, ledger_url: str) -> Iterator[Any]:
    """An app on each kind of database."""
    with serve(replace(home, ledger_url=ledger_url), Limits()) as found:
        yield found


def test_a_submission_is_queued_whole_and_its_sender_is_told(served: Any, tiny_text: str) -> None:
    answer = served.submit(tiny_text, priority=7)
    assert answer.status_code == 201
    assert answer.headers["Location"] == "/v1/sweeps/tiny"
    found = answer.json()
    assert (found["stage"], found["owner"], found["priority"]) == ("queued", "ann", 7)
    assert (found["position"], found["num_starts"], found["problem"]) == (1, 0, None)
    # What the command says of the same sweep, and no number of it different.
    assert {key: found[key] for key in status(served.ledger, "tiny")} == status(
        served.ledger, "tiny"
    )
    entry = queue.entry(served.ledger.engine, "tiny")
    assert (entry.owner, entry.priority, entry.is_wanted) == ("ann", 7, True)
    record = served.ledger.sweep("tiny")
    assert (record.spec_text, record.num_trials) == (tiny_text, 4)
    assert served.woken == [None]
    assert served.get("/v1/sweeps/tiny/spec").json() == {"spec": tiny_text}
    assert served.get("/v1/sweeps/tiny").json() == found


def test_the_same_key_means_the_same_submission(served: Any, tiny_text: str) -> None:
    key = {"Idempotency-Key": "k-1"}
    body = {"spec": tiny_text, "name": "one"}
    first = served.post("/v1/sweeps", json=body, headers=key)
    again = served.post("/v1/sweeps", json=body, headers=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    other = served.post("/v1/sweeps", json={**body, "name": "two"}, headers=key)
    assert (other.status_code, other.json()["type"]) == (409, "urn:monosweep:key-reused")
    # Another's key is another key.
    bens = served.post("/v1/sweeps", "ben", json={**body, "name": "two"}, headers=key)
    assert bens.status_code == 201
    assert served.ledger.names() == ["one", "two"]


def test_many_who_send_the_same_at_once_get_one_sweep(
    served: Any, tiny_text: str, listening: Any
) -> None:
    with listening(served.app) as url, httpx.Client(base_url=url, timeout=60) as client:

        def send(number: int) -> tuple[str, int]:
            name = f"sweep-{number % 3}"
            answer = client.post(
                "/v1/sweeps",
                json={"spec": tiny_text, "name": name},
                headers={**served.bearing("ann"), "Idempotency-Key": name},
            )
            return name, answer.status_code

        with ThreadPoolExecutor(8) as pool:
            found = Counter(pool.map(send, range(24)))
    assert found == {(f"sweep-{n}", 201): 1 for n in range(3)} | {
        (f"sweep-{n}", 200): 7 for n in range(3)
    }
    assert sorted(served.ledger.names()) == ["sweep-0", "sweep-1", "sweep-2"]


def test_lists_are_read_page_by_page_oldest_first(served: Any, tiny_text: str) -> None:
    names = [f"s{number}" for number in range(5)]
    for name in names:
        served.submit(tiny_text, "ben" if name == "s3" else "ann", name=name)
    served.post("/v1/sweeps/s1/stop")
    seen, after = [], None
    while True:
        query = {"limit": 2, **({"after": after} if after else {})}
        page = served.get("/v1/sweeps", "vera", params=query).json()
        assert len(page["sweeps"]) <= 2
        seen += [one["name"] for one in page["sweeps"]]
        after = page["next"]
        if after is None:
            break
        if len(seen) == 2:
            # What the page ended with goes away: the next one still begins behind it.
            assert served.call("DELETE", "/v1/sweeps/s1?confirm=s1").status_code == 204
    assert seen == names
    bens = served.get("/v1/sweeps", params={"owner": "ben"}).json()["sweeps"]
    assert [one["name"] for one in bens] == ["s3"]
    assert served.get("/v1/sweeps", params={"stage": "stopped"}).json()["sweeps"] == []
    queued = served.get("/v1/sweeps", params={"stage": "queued"}).json()["sweeps"]
    # Whoever has fewer at work goes first: one of ann's, then ben's.
    assert [(one["name"], one["position"]) for one in queued] == [
        ("s0", 1),
        ("s2", 3),
        ("s3", 2),
        ("s4", 4),
    ]


def test_a_name_of_its_own_and_the_files_name(served: Any, tiny_text: str) -> None:
    assert served.submit(tiny_text, name="mine").json()["name"] == "mine"
    assert served.submit(tiny_text).json()["name"] == "tiny"
    assert served.get("/v1/sweeps/mine/best").json()["sentence"].startswith("The sweep mine has")
