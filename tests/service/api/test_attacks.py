"""What somebody might try against a server, beyond what any honest caller does wrong."""

import ast
import asyncio
import html
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

import search_spaces
import service
import trainers
from service import deletion
from service.api import bodies
from service.api.limits import Limits
from service.api.making import Maker
from service.api.pages import cookie
from service.api.problems import NotMadeError
from service.api.rates import Rates
from service.api.routes import events
from service.ledger import queue, sessions, tables, tokens
from service.ledger.sweep_row import NewSweep
from service.spec import parse_spec

PATIENCE_S = 60
JSON = {"Content-Type": "application/json"}


def test_a_strangers_guesses_are_neither_looked_up_nor_kept_beyond_its_calls(
    serve: Any, home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[str] = []
    known = tokens.caller

    def counted(engine: Any, token: str) -> Any:
        looked_up.append(token)
        return known(engine, token)

    monkeypatch.setattr(tokens, "caller", counted)
    # Time stands still: on a busy machine a second passes between two calls, and brings one back.
    monkeypatch.setattr(Rates.__init__, "__defaults__", (lambda: 0.0,))
    with serve(home, Limits(calls_at_once=3)) as served:
        # Let in, it costs the address nothing.
        assert served.get("/v1/whoami").status_code == 200
        guesses = [f"monosweep_{number:012x}_{'A' * 43}" for number in range(8)]
        answers = [
            served.get("/v1/whoami", None, headers={"Authorization": f"Bearer {guess}"})
            for guess in guesses
        ]
        assert Counter(answer.status_code for answer in answers) == {401: 3, 429: 5}
        assert looked_up[1:] == guesses[:3]
        assert [one.status for one in served.deeds] == [401] * 3
        # Who was here before is not kept waiting by who guesses at the same address.
        assert served.get("/v1/whoami").status_code == 200
        # Until its token is revoked: then it is a stranger like any other.
        tokens.revoke(served.ledger.engine, "ann")
        assert served.get("/v1/whoami").status_code == 429


def test_whoever_bears_no_token_does_nothing_that_the_audit_would_keep(served: Any) -> None:
    for path in ("/v1/health", "/v1/ready", "/openapi.json"):
        found = {served.call(method, path, None).status_code for method in ["POST", "PUT"] * 50}
        assert found == {405}
    assert served.deeds == []
    # An admin's token is not looked at where none is needed.
    assert served.post("/v1/health", "root").status_code == 405
    assert served.deeds == []
    assert served.post("/v1/whoami", "root").status_code == 405
    assert [(one.who, one.status) for one in served.deeds] == [("root", 405)]


def test_without_tokens_another_sites_calls_do_not_fill_the_audit(serve: Any, home: Any) -> None:
    with serve(home, Limits(calls_at_once=3), needs_token=False) as served:
        headers = {"Sec-Fetch-Site": "cross-site"}
        found = [served.post("/v1/health", None, headers=headers).status_code for _ in range(8)]
        assert found == [403] * 3 + [429] * 5
        assert [one.status for one in served.deeds] == [403] * 3
        # Whoever sits at this machine is not kept waiting by it.
        assert served.get("/v1/whoami", None).status_code == 200


def test_no_strangers_path_holds_everybody_up(served: Any) -> None:
    # What the audit keeps of it has no passwords: also those have to be looked for.
    began_s = time.process_time()
    assert served.get("/v1/" + "password" * 250, None).status_code == 401
    assert time.process_time() - began_s < 1.0
    assert served.deeds[0].action == f"GET /v1/{'password' * 250}"[:64]


def test_whoever_makes_many_calls_at_once_keeps_nobody_else_waiting(
    serve: Any, home: Any, listening: Any, tiny_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_made = threading.Event()

    async def make(*_: Any, **__: Any) -> None:
        while not is_made.is_set():
            await asyncio.sleep(0.01)
        raise NotMadeError("on purpose")

    monkeypatch.setattr(Maker, "make", make)
    limits = Limits(calls_at_work=2)
    with serve(home, limits) as served, listening(served.app) as url, ThreadPoolExecutor() as pool:
        assert served.submit(tiny_text).status_code == 201

        def ask(by: str, path: str) -> int:
            answer = httpx.get(f"{url}{path}", headers=served.bearing(by), timeout=PATIENCE_S)
            return answer.status_code

        slow = [pool.submit(ask, "vera", "/v1/sweeps/tiny/report") for _ in range(2)]
        while served.app.state.backing.calls != {"vera": 2}:
            assert not any(one.done() for one in slow)
        assert ask("vera", "/v1/whoami") == 429
        assert ask("ann", "/v1/whoami") == 200
        is_made.set()
        assert [one.result() for one in slow] == [500, 500]
        assert ask("vera", "/v1/whoami") == 200
        assert served.app.state.backing.calls == {}


def test_a_revoked_token_follows_no_sweep_any_more(
    live: tuple[Any, str], tiny_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.0)
    served, url = live
    served.submit(tiny_text)
    place, headers = f"{url}/v1/sweeps/tiny/events", served.bearing("vera")
    with httpx.stream("GET", place, headers=headers, timeout=PATIENCE_S) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: status"
        tokens.revoke(served.ledger.engine, "vera")
        # It ends, with no word of an end of the sweep's.
        assert not [line for line in lines if line.startswith("event: end")]


def test_so_many_streams_also_if_all_are_asked_for_at_once(
    serve: Any, home: Any, listening: Any, tiny_text: str
) -> None:
    with serve(home, Limits(streams=2)) as served, listening(served.app) as url:
        served.submit(tiny_text)
        found: list[int] = []
        all_asked = threading.Barrier(5)

        def follow() -> None:
            place, headers = f"{url}/v1/sweeps/tiny/events", served.bearing("vera")
            with httpx.stream("GET", place, headers=headers, timeout=PATIENCE_S) as stream:
                found.append(stream.status_code)
                all_asked.wait(PATIENCE_S)

        with ThreadPoolExecutor(5) as pool:
            list(pool.map(lambda _: follow(), range(5)))
    assert Counter(found) == {200: 2, 429: 3}


def test_a_name_taken_by_another_is_not_its_former_owners(served: Any, tiny_text: str) -> None:
    board = served.app.state.backing.board
    # Nothing tells this server what others do: what it has read stays as it is.
    board._rosters._max_age_s = 3600.0
    served.submit(tiny_text)
    assert served.post("/v1/sweeps/tiny/stop").status_code == 202
    with tables.writing(served.ledger.engine) as connection:
        connection.execute(tables.sweeps.delete())
    spec = parse_spec(tiny_text, origin="test")
    new = NewSweep(
        name="tiny", spec_text=spec.text, settings=spec.settings(), versions={}, num_trials=4
    )
    assert queue.submit(served.ledger.engine, new, owner="ben")
    assert served.call("DELETE", "/v1/sweeps/tiny?confirm=tiny").status_code == 403
    assert served.ledger.names() == ["tiny"]


class HeldBack:
    """A call whose body comes but for its last byte, until it is told to go on."""

    def __init__(self, served: Any, url: str, path: str, body: bytes, **headers: str) -> None:
        self._goes_on = threading.Event()
        self._calls = served.app.state.backing.calls
        self._pool = ThreadPoolExecutor()
        self._answer = self._pool.submit(
            httpx.post, f"{url}{path}", content=self._held(body), headers=headers, timeout=60
        )
        # It was let in, and what there is of its body is being read.
        while not self._calls:
            assert not self._answer.done()

    def _held(self, body: bytes) -> Iterator[bytes]:
        yield body[:-1]
        assert self._goes_on.wait(PATIENCE_S)
        yield body[-1:]

    def answer(self) -> httpx.Response:
        self._goes_on.set()
        with self._pool:
            return self._answer.result()


def _form_of(served: Any, name: str) -> dict[str, str]:
    """The headers of a form of our own page, in somebody's browser."""
    secret, _ = sessions.begin(served.ledger.engine, served.tokens[name])
    kind = "application/x-www-form-urlencoded"
    return {
        "Cookie": f"{cookie.NAME}={secret}",
        "Sec-Fetch-Site": "same-origin",
        "Content-Type": kind,
    }


@pytest.mark.usefixtures("without_mlflow")
@pytest.mark.parametrize("deed", ["delete", "extend", "extend on its page"])
def test_who_held_a_body_back_does_nothing_to_what_is_anothers_by_then(
    live: tuple[Any, str], tiny_text: str, deed: str
) -> None:
    served, url = live
    served.submit(tiny_text)
    path, body, headers = {
        "delete": ("/sweeps/tiny/delete", b"confirm=tiny", _form_of(served, "ann")),
        "extend": ("/v1/sweeps/tiny/extend", b'{"num_trials": 9}', served.bearing("ann") | JSON),
        "extend on its page": ("/sweeps/tiny/extend", b"num_trials=9", _form_of(served, "ann")),
    }[deed]
    held = HeldBack(served, url, path, body, **headers)
    assert served.call("DELETE", "/v1/sweeps/tiny?confirm=tiny").status_code == 204
    assert served.submit(tiny_text, "ben").status_code == 201
    answer = held.answer()
    assert answer.status_code == 403
    assert "tiny is ben's" in html.unescape(answer.text)
    entry = queue.entry(served.ledger.engine, "tiny")
    assert (entry.owner, entry.num_trials) == ("ben", None)


def test_who_held_a_body_back_submits_nothing_by_a_token_that_is_revoked_by_then(
    live: tuple[Any, str], tiny_text: str
) -> None:
    served, url = live
    body = json.dumps({"spec": tiny_text}).encode()
    held = HeldBack(served, url, "/v1/sweeps", body, **served.bearing("ann"), **JSON)
    tokens.revoke(served.ledger.engine, "ann")
    assert held.answer().status_code == 401
    assert served.ledger.names() == []


@pytest.mark.usefixtures("without_mlflow")
def test_what_becomes_anothers_while_it_is_about_to_be_deleted_is_not(
    served: Any, tiny_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.submit(tiny_text)
    look = deletion.check_lies_here

    def looked(*words: Any) -> None:
        look(*words)
        monkeypatch.setattr(deletion, "check_lies_here", look)
        assert served.call("DELETE", "/v1/sweeps/tiny?confirm=tiny").status_code == 204
        assert served.submit(tiny_text, "ben").status_code == 201

    monkeypatch.setattr(deletion, "check_lies_here", looked)
    assert served.call("DELETE", "/v1/sweeps/tiny?confirm=tiny").status_code == 403
    assert queue.entry(served.ledger.engine, "tiny").owner == "ben"
    assert served.ledger.sweep("tiny").deleting_at is None


def test_a_body_that_does_not_come_is_waited_for_no_longer_than_any(
    live: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "PATIENCE_S", 0.5)
    served, url = live
    port = int(url.rpartition(":")[2])
    mine = f"Authorization: {served.bearing('ann')['Authorization']}"
    for path, header in (("/v1/sweeps", mine), ("/login", "Sec-Fetch-Site: none")):
        lines = [f"POST {path} HTTP/1.1", "Host: localhost", header, "Content-Length: 9", "", "{"]
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
            connection.sendall("\r\n".join(lines).encode())
            # Read to its end: the server closes it.
            said = b"".join(iter(lambda: connection.recv(4096), b""))
        assert said.startswith(b"HTTP/1.1 408 "), path
        assert b"must come within 0.5 s" in said
    assert served.app.state.backing.calls == {}


def test_nobody_fills_the_queue_for_the_others(serve: Any, home: Any, tiny_text: str) -> None:
    with serve(home, Limits(unfinished_each=2)) as served:
        assert served.submit(tiny_text, name="a").status_code == 201
        assert served.submit(tiny_text, name="b").status_code == 201
        full = served.submit(tiny_text, name="c")
        assert (full.status_code, full.json()["type"]) == (503, "urn:monosweep:server-full")
        assert "at most 2 unfinished sweeps of ann's" in full.json()["detail"]
        assert served.submit(tiny_text, "ben", name="c").status_code == 201
        assert served.post("/v1/sweeps/a/stop").status_code == 202
        assert served.submit(tiny_text, name="d").status_code == 201
        # An admin who has it go on does not make it go past its owner's limit.
        resumed = served.post("/v1/sweeps/a/resume", "root")
        assert resumed.json()["type"] == "urn:monosweep:server-full"


@pytest.mark.parametrize(
    "body",
    [
        b'{"spec": "a", "\\ud800": 1}',
        b'{"spec": "\\ud800"}',
        b'{"spec": "a", "priority": ' + b"9" * 5000 + b"}",
        b'{"spec": "name: ' + b"9" * 60_000 + b'"}',
        b'{"spec": "a: ' + b"[" * 60_000 + b'"}',
        b'{"spec": "a: &a [x]\\nb: [*a, *a]\\nc: !!python/name:os.system x"}',
    ],
    ids=["surrogate key", "surrogate", "digits", "digits in a file", "depth", "aliases and tags"],
)
def test_no_body_breaks_the_server(served: Any, body: bytes) -> None:
    answer = served.post("/v1/sweeps", content=body, headers=JSON)
    assert answer.status_code in (400, 422)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert served.ledger.names() == []


def test_a_log_shows_no_password(served: Any, tiny_text: str) -> None:
    served.submit(tiny_text)
    engine = served.ledger.engine
    assert queue.record_start(engine, queue.entry(engine, "tiny"), "job-1")
    said = served.get("/v1/sweeps/tiny/logs", "vera", params={"lines": 2})
    assert said.headers["Content-Type"].startswith("text/plain")
    assert said.text.splitlines() == ["line 8 of job-1", "postgresql://me:***@host/db"]


@pytest.mark.parametrize("path", ["/v1/health", "/v1/whoami", "/v1/sweeps", "/none"])
@pytest.mark.parametrize("by", ["vera", None])
def test_no_answer_is_taken_for_anything_but_what_it_says_it_is(
    served: Any, path: str, by: str | None
) -> None:
    assert served.get(path, by).headers["X-Content-Type-Options"] == "nosniff"


def test_nothing_that_we_read_can_be_a_program() -> None:
    # Beside ruff's rules against eval, exec, shells and unsafe loaders, which `make check` applies.
    forbidden = {"pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib", "yaml"}
    # Machine code is made and loaded in one place: what this program compiled, from beside it.
    loaders = {"ctypes", "cffi", "llvmlite"}
    seen, found, loading = set(), [], set()
    for package in (service, trainers, search_spaces):
        for path in Path(str(package.__file__)).parent.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                roots = {name.partition(".")[0] for name in names}
                seen |= roots
                loading |= {path.parts[-3:] for _ in roots & loaders}
                found += [(path.name, name) for name in roots & forbidden]
                is_load = isinstance(node, ast.Attribute) and node.attr == "load"
                if is_load and ast.unparse(node) in ("torch.load", "np.load", "numpy.load"):
                    found.append((path.name, ast.unparse(node)))
    assert found == []
    assert loading == {("trainers", "passes", name) for name in ("compiled.py", "lanes.py")}
    assert {"safetensors", "ruamel", "json"} <= seen


def test_no_caller_is_believed_about_its_address_and_nothing_upgrades(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from service.api import serving

    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    claims = {
        "X-Forwarded-For": "203.0.113.7",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        servers: list[Any] = []
        run = serving._Server.run

        def noted(self: Any, sockets: Any) -> None:
            servers.append(self)
            run(self, sockets)

        monkeypatch.setattr(serving._Server, "run", noted)
        thread = threading.Thread(target=serving.serve, args=(served.app, listening), daemon=True)
        thread.start()
        answer = httpx.get(f"{url}/v1/whoami", headers=claims, timeout=PATIENCE_S)
        servers[0].should_exit = True
        thread.join(PATIENCE_S)
    assert answer.status_code == 401
    assert [(one.status, one.client) for one in served.deeds] == [(401, "127.0.0.1")]
