"""What keeps a cluster from answering, in our words and soon; what it answers is a real head's."""

import json
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from loopback import HOST, free_port

from service.dispatch import jobs
from service.dispatch.jobs import JobState, RayJobs, _entrypoint
from service.errors import ClusterAwayError, ClusterTroubleError, UserError

LAST = "Job entrypoint command failed with exit code {}, last available logs (truncated):\n{}"


@contextmanager
def answering(status: int, body: object, after: threading.Event | None = None) -> Iterator[str]:
    """A head that answers everything with this, once it may."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if after is not None:
                after.wait(30)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode() if isinstance(body, str) else json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = HTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        if after is not None:
            after.set()
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_head_that_is_not_there_is_away_whatever_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Ray's client would rather go there.
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    address = f"http://{HOST}:{free_port()}"
    asked: list[Callable[[RayJobs], object]] = [
        lambda jobs: jobs.submit("j", ["status"]),
        lambda jobs: jobs.stop("j"),
        lambda jobs: jobs.state("j"),
        lambda jobs: jobs.log("j", 3),
    ]
    away = RayJobs(address)
    for ask in asked:
        with pytest.raises(ClusterAwayError, match=rf"refused \({address}\)\.$"):
            ask(away)


def test_a_head_that_never_answers_is_away_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "ANSWER_S", 0.3)
    with answering(200, {}, after=threading.Event()) as address:
        begun = time.monotonic()
        with pytest.raises(ClusterAwayError, match=r"does not answer: .*timed out"):
            RayJobs(address).state("j")
        assert time.monotonic() - begun < 20


def test_a_password_in_the_address_is_not_told() -> None:
    with pytest.raises(ClusterAwayError) as raised:
        RayJobs(f"http://ada:secret@{HOST}:{free_port()}").state("j")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, "no", "must let this server in, found it refused: the token is missing"),
        (403, "no", "must let this server in, found it refused: the token is missing"),
        (500, "Traceback\nValueError: no agent", "has trouble: ValueError: no agent"),
        (200, "no json", "does not answer: "),
    ],
)
def test_what_is_not_an_answer_is_told(status: int, body: str, said: str) -> None:
    with answering(status, body) as address, pytest.raises(ClusterAwayError, match=said):
        RayJobs(address).state("j")


@pytest.mark.parametrize("body", [{"jobs": "none"}, [1, 2], "3", "null"])
def test_another_programs_answer_is_told(body: object) -> None:
    with answering(200, body) as address:
        asked: list[Callable[[RayJobs], object]] = [
            lambda jobs: jobs.state("j"),
            lambda jobs: jobs.log("j", 3),
        ]
        for ask in asked:
            with pytest.raises(ClusterAwayError, match=r"found another answer .*dashboard"):
                ask(RayJobs(address))


@pytest.mark.parametrize("address", ["auto", "ray://h:10001", "127.0.0.1:8265", "http://", ""])
def test_an_address_that_is_no_dashboards_is_a_mistake(address: str) -> None:
    with pytest.raises(UserError, match=r"URL of its dashboard, found .*http://HOST:8265"):
        RayJobs(address)


@pytest.mark.parametrize(("status", "said"), [(404, "Not Found"), (500, "the agent died\n")])
def test_what_is_no_word_of_a_job_is_no_answer(status: int, said: str) -> None:
    """A web server that is no cluster's does not know the job either."""
    with answering(status, said) as address, pytest.raises(ClusterTroubleError, match=said.strip()):
        RayJobs(address).state("j")


def test_a_job_that_nobody_knows_has_no_state_and_no_log() -> None:
    with answering(404, "Job j does not exist") as address:
        assert RayJobs(address).state("j") is None
        assert RayJobs(address).log("j", 3) == ""


@pytest.mark.parametrize(
    ("info", "state"),
    [
        ({"status": "PENDING", "message": "Waiting."}, JobState("pending", None, "Waiting.")),
        ({"status": "RUNNING", "driver_exit_code": None}, JobState("running", None, None)),
        ({"status": "SUCCEEDED", "driver_exit_code": 0}, JobState("ended", 0, None)),
        ({"status": "STOPPED", "message": "Stopped."}, JobState("ended", None, "Stopped.")),
        (
            {
                "status": "FAILED",
                "driver_exit_code": 2,
                "message": LAST.format(2, "1\n2\n\n3\nit must be so:\n  torch: a -> b\nDo this.\n"),
            },
            JobState("ended", 2, "2\n3\nit must be so:\n  torch: a -> b\nDo this."),
        ),
        (
            {"status": "FAILED", "driver_exit_code": -9, "message": LAST.format(-9, "search")},
            JobState("ended", -9, "its driver was killed by signal 9."),
        ),
        (
            {
                "status": "FAILED",
                "driver_exit_code": 2,
                "message": LAST.format(2, "Setting up.\nRunning entrypoint for job j: x\nNo.\n"),
            },
            JobState("ended", 2, "No."),
        ),
        (
            {"status": "FAILED", "message": "Unexpected error: the actor died."},
            JobState("ended", None, "Unexpected error: the actor died."),
        ),
    ],
)
def test_the_state_of_a_job(info: dict[str, object], state: JobState) -> None:
    body = {"type": "SUBMISSION", "entrypoint": "x", "submission_id": "j", **info}
    with answering(200, body) as address:
        assert RayJobs(address).state("j") == state


def test_a_log_has_its_last_lines() -> None:
    with answering(200, {"logs": "one\ntwo\nthree\n"}) as address:
        assert RayJobs(address).log("j", 2) == "two\nthree\n"
        assert RayJobs(address).log("j", 9) == "one\ntwo\nthree\n"


def test_the_entry_point_is_this_interpreter_or_the_first_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def words(line: str) -> list[str]:
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            capture_output=True,
            text=True,
            check=True,
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        )
        return done.stdout.splitlines()

    for place in (tmp_path / "an image" / "python", tmp_path / "python"):
        place.parent.mkdir(exist_ok=True)
        place.write_text(f'#!/bin/sh\nprintf "%s\\n" {shlex.quote(str(place))} "$@"\n')
        place.chmod(0o755)
    asked = ["resume", "it's", "--address", "auto"]
    monkeypatch.setattr(sys, "executable", str(tmp_path / "an image" / "python"))
    expected = [str(tmp_path / "an image" / "python"), "-P", "-m", "service", *asked]
    assert words(_entrypoint(asked)) == expected
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert words(_entrypoint(asked)) == [str(tmp_path / "python"), *expected[1:]]
