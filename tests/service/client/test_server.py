"""A server's sweeps from elsewhere, by its real HTTP API."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from service.client import Access, Server
from service.client import server as client
from service.errors import ServerAwayError, SweepNotFoundError, TrackingAwayError, UserError
from service.ledger import queue, release, take
from service.spec import Spec

MakeSpec = Callable[..., Spec]


def server_of(running: Any, name: str = "ada", **changes: Any) -> Server:
    return Server(Access(running.url, running.tokens[name]), **changes)


@pytest.fixture(autouse=True)
def emptied(running: Any) -> Iterator[None]:
    yield
    running.empty_queue()


def test_a_submission_sent_again_is_one_sweep(running: Any, make_spec: MakeSpec) -> None:
    spec = make_spec().with_name("twice")
    answers = [server_of(running).submit(spec, priority=5, origin="t.yaml") for _ in range(2)]
    assert [is_new for _, is_new in answers] == [True, False]
    assert {(found["name"], found["priority"]) for found, _ in answers} == {("twice", 5)}
    with pytest.raises(UserError, match="twice"):
        server_of(running, "eve").submit(spec, priority=None, origin="t.yaml")


def test_a_server_that_is_away_or_full_is_asked_again(running: Any, make_spec: MakeSpec) -> None:
    for number in range(3):
        spec = make_spec().with_name(f"full-{number}")
        server_of(running).submit(spec, priority=None, origin="")
    paused: list[float] = []

    def pause(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 1:
            running.stop()
            running.empty_queue()
        if len(paused) == 3:
            running.start()

    try:
        found, is_new = server_of(running, pause=pause).submit(
            make_spec().with_name("after-all"), priority=None, origin=""
        )
    finally:
        running.start() if len(paused) in (1, 2) else None
    assert (found["stage"], is_new, len(paused)) == ("queued", True, 3)
    # The first answer said when; the two others came from nobody.
    assert paused[0] >= 1
    assert all(0 < seconds < 1 for seconds in paused[1:])


def test_patience_ends(make_spec: MakeSpec) -> None:
    paused: list[float] = []
    nobody = Server(Access("http://127.0.0.1:9"), pause=paused.append)
    with pytest.raises(ServerAwayError, match=r"does not answer: .*\(http://127\.0\.0\.1:9\)"):
        nobody.submit(make_spec(), priority=None, origin="")
    assert client.PATIENCE_S <= sum(paused) < 2 * client.PATIENCE_S


def test_the_list_is_asked_page_by_page(
    running: Any, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    server_of(running).submit(make_spec().with_name("listed"), priority=None, origin="")
    whole = [found["name"] for found in server_of(running, "vic").statuses()]
    monkeypatch.setattr(client, "_PER_PAGE", 1)
    assert [found["name"] for found in server_of(running, "vic").statuses()] == whole
    assert {"drawn", "listed"} <= set(whole)


def test_following_outlasts_a_restart_and_ends_with_the_driver(
    running: Any, make_spec: MakeSpec, caplog: pytest.LogCaptureFixture
) -> None:
    spec = make_spec().with_name("followed")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        """The server is there again at the second pause, after it was missed once."""
        pauses.append(seconds)
        if running.is_down and len(pauses) > 1:
            running.start()

    server = server_of(running, pause=pause)
    server.submit(spec, priority=None, origin="")
    engine, seen = running.ledger.engine, []
    leases: list[Any] = []

    def show(found: dict[str, Any]) -> None:
        """What happens, each time in answer to what was just seen."""
        if not seen or seen[-1] != found["stage"]:
            seen.append(found["stage"])
            if found["stage"] == "queued":
                leases.append(take(engine, "followed"))
            elif found["stage"] == "running":
                running.stop()
                queue.stop(engine, "followed")
            elif found["stage"] == "stopping":
                release(engine, leases[0])

    found = server.follow("followed", show)
    assert (seen, found["stage"]) == (["queued", "running", "stopping"], "stopped")
    away, back = caplog.messages
    assert away.startswith("the server does not answer: ")
    assert away.endswith(" It is waited for.")
    assert back.startswith("The server answers again, after ")


def test_a_sweep_that_is_not_there(running: Any) -> None:
    server = server_of(running)
    for ask in (server.status, server.answer, server.stop, server.delete, server.extent):
        with pytest.raises(SweepNotFoundError, match="'nobody'"):
            ask("nobody")
    for name in ("..", "a/b", "drawn?", "", "x" * 65):
        with pytest.raises(UserError, match="must be a simple word"):
            server.status(name)


def test_a_page_of_a_sweep_that_is_gone_leaves_nothing(running: Any, tmp_path: Path) -> None:
    with pytest.raises(SweepNotFoundError):
        server_of(running).report("nobody", tmp_path / "page.html")
    with pytest.raises(SweepNotFoundError):
        server_of(running).export("nobody", tmp_path / "tables")
    assert [path.name for path in tmp_path.iterdir()] == ["tables"]
    assert list((tmp_path / "tables").iterdir()) == []


def test_a_deletion_that_takes_long_is_waited_for(
    running: Any, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LONG_S", 0.3)
    monkeypatch.setattr(client, "_LOOK_S", 0.1)
    is_to_end = threading.Event()
    monkeypatch.setattr("service.tracking.check_answers", lambda _uri: None)
    monkeypatch.setattr("service.tracking.remove", lambda _uri, _name: is_to_end.wait(30))
    pauses: list[object] = []

    def pause(seconds: float) -> None:
        pauses.append(server.status("large")["state"])
        is_to_end.set()
        time.sleep(seconds)

    server = server_of(running, pause=pause)
    server.submit(make_spec().with_name("large"), priority=None, origin="here")
    server.delete("large")
    assert pauses[0] == "deleting"
    with pytest.raises(SweepNotFoundError):
        server.status("large")


def test_a_deletion_that_cannot_go_on_is_told_at_once(
    running: Any, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise TrackingAwayError("away")

    server = server_of(running, pause=pytest.fail)
    server.submit(make_spec().with_name("half"), priority=None, origin="here")
    monkeypatch.setattr("service.tracking.check_answers", lambda _uri: None)
    monkeypatch.setattr("service.tracking.remove", away)
    for _ in range(2):
        with pytest.raises(ServerAwayError, match="MLflow does not answer now"):
            server.delete("half")
    assert server.status("half")["state"] == "deleting"
    nobody = Server(Access("http://127.0.0.1:1"), pytest.fail)
    with pytest.raises(ServerAwayError, match="does not answer"):
        nobody.delete("half")
    monkeypatch.setattr("service.tracking.remove", lambda _uri, _name: None)
    server.delete("half")


class Other(BaseHTTPRequestHandler):
    """Something else at the URL."""

    status, kind, content = 200, "application/json", b"{}"
    seen: list[str | None] = []  # noqa: RUF012 - of the one test that looks

    def do_GET(self) -> None:
        type(self).seen.append(self.headers["Authorization"])
        self.send_response(self.status)
        self.send_header("Content-Type", self.kind)
        self.send_header("Content-Length", str(len(self.content) + self.missing))
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(self.content)

    missing = 0

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def other() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


@pytest.mark.parametrize(
    ("status", "kind", "content"),
    [
        (200, "application/json", b"{}"),
        (200, "application/json", b"[]"),
        (200, "application/json", b"{"),
        (200, "text/html", b"<html>"),
        (404, "application/json", b"{}"),
        (501, "text/plain", b""),
    ],
)
def test_what_is_no_server_is_told(
    other: str, monkeypatch: pytest.MonkeyPatch, status: int, kind: str, content: bytes
) -> None:
    for key, value in {"status": status, "kind": kind, "content": content}.items():
        monkeypatch.setattr(Other, key, value)
    with pytest.raises(UserError, match=f"there must be a monosweep server at {other}"):
        Server(Access(other)).status("tiny")
    with pytest.raises(UserError, match=f"there must be a monosweep server at {other}"):
        Server(Access(other)).statuses()


def test_a_redirect_is_not_followed(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Other, "status", 302)
    monkeypatch.setattr(Other, "seen", [])
    with pytest.raises(UserError, match="sends its callers on to /elsewhere"):
        Server(Access(other, "secret")).status("tiny")
    assert Other.seen == ["Bearer secret"]


def test_a_proxy_of_the_environment_sees_no_token_in_the_clear(
    running: Any, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Other, "seen", [])
    monkeypatch.setenv("HTTP_PROXY", other)
    monkeypatch.setenv("http_proxy", other)
    assert server_of(running).status("drawn")["name"] == "drawn"
    assert Other.seen == []


def test_a_page_that_breaks_off_leaves_the_old_one(
    other: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Other, "kind", "text/html")
    monkeypatch.setattr(Other, "missing", 1)
    (tmp_path / "page.html").write_text("old")
    with pytest.raises(ServerAwayError, match="does not answer"):
        Server(Access(other)).report("tiny", tmp_path / "page.html")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
