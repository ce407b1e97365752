"""``monosweep serve`` and ``monosweep token`` as processes."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from loopback import free_port
from sqlalchemy import Engine, event

from service import cli
from service.errors import LedgerAwayError
from service.ledger import Ledger, audit, tokens

PATIENCE_S = 120


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A user who has set their home and nothing else."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MONOSWEEP_", "MLFLOW_", "RAY_"))
    }
    return {**kept, "MONOSWEEP_HOME": str(tmp_path / "home")}


@contextmanager
def _serving(*options: str, env: dict[str, str], folder: Path) -> Iterator[Any]:
    command = [sys.executable, "-m", "service", "serve", *options]
    with (folder / "said.txt").open("w") as said:
        process = subprocess.Popen(command, env=env, stdout=said, stderr=said)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def _wait_for(url: str, process: Any) -> httpx.Response:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert process.poll() is None
        assert time.monotonic() < deadline
        try:
            return httpx.get(f"{url}/v1/health")
        except httpx.TransportError:
            time.sleep(0.2)


def test_a_server_without_a_cluster_takes_sweeps_says_what_is_missing_and_ends_promptly(
    environment: dict[str, str], tmp_path: Path, tiny_text: str
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    away = f"http://me:hunter2@127.0.0.1:{free_port()}"
    env = {**environment, "MLFLOW_TRACKING_URI": away}
    options = ("--port", str(port), "--ray", f"http://127.0.0.1:{free_port()}")
    with _serving(*options, env=env, folder=tmp_path) as process:
        _wait_for(url, process)
        ledger = Ledger(f"sqlite:///{environment['MONOSWEEP_HOME']}/ledger.db")
        headers = {"Authorization": f"Bearer {tokens.create(ledger.engine, 'ann', 'submitter')}"}
        ledger.close()
        with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_S) as client:
            assert client.post("/v1/sweeps", json={"spec": tiny_text}).status_code == 201
            ready = client.get("/v1/ready")
            parts = ready.json()["parts"]
            assert ready.status_code == 503
            assert {name for name in parts if not parts[name]["ready"]} == {"cluster", "mlflow"}
            assert "127.0.0.1" not in ready.text and "hunter2" not in ready.text
            # One who follows is let go when the server ends.
            with client.stream("GET", "/v1/sweeps/tiny/events") as stream:
                lines = stream.iter_lines()
                assert next(lines) == "event: status"
                process.send_signal(signal.SIGTERM)
                began = time.monotonic()
                assert not [line for line in lines if line == "event: end"]
        assert process.wait(PATIENCE_S) == 0
        assert time.monotonic() - began < PATIENCE_S / 4
    said = (tmp_path / "said.txt").read_text()
    assert f"monosweep at {url}" in said
    assert "The Ray cluster does not answer." in said
    assert "MLflow does not answer." in said
    assert "Traceback" not in said
    assert "hunter2" not in said


@pytest.fixture
def at_home(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process as that user's."""
    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)
    monkeypatch.setenv("MONOSWEEP_HOME", environment["MONOSWEEP_HOME"])
    return Path(environment["MONOSWEEP_HOME"])


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code and both streams of a command in this process."""
    code = 0
    before = sys.argv
    sys.argv = ["monosweep", *words]
    try:
        cli.main()
    except SystemExit as error:
        code = int(error.code or 0)
    finally:
        sys.argv = before
    said = capsys.readouterr()
    return code, said.out, " ".join(said.err.split())


def test_what_serve_refuses(at_home: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        cases: list[tuple[tuple[str, ...], str]] = [
            (("--port", port), "Address already in use. Take another: --port"),
            (("--host", "192.0.2.1"), "Take another: --port"),
            (("--host", "no such host"), "--host must be an address or a name of this machine"),
            (("--host", "0.0.0.0", "--no-auth"), "--no-auth must come with a host that only"),
            (("--host", "::", "--no-auth"), "--no-auth must come with a host that only"),
            (("--host", "example.org", "--no-auth"), "--no-auth must come with a host that only"),
        ]
        for options, message in cases:
            code, out, err = _run(capsys, "serve", *options)
            assert (code, out) == (2, ""), options
            assert message in err
    for limits, message in (
        ("trails=5", "Did you mean trials?"),
        ("trials", "must be limits such as"),
        ("trials=0", "a whole number above 0"),
        ("trials=1.5", "a whole number above 0"),
        ("trials=1e999", "a whole number above 0"),
    ):
        monkeypatch.setenv("MONOSWEEP_LIMITS", limits)
        code, _, err = _run(capsys, "serve")
        assert code == 2
        assert message in err
    # Nothing was begun by any of them.
    assert not at_home.exists()


def test_a_token_is_printed_once_alone_and_kept_nowhere(at_home: Path, capsys: Any) -> None:
    code, out, err = _run(capsys, "token", "create", "--name", "ann", "--role", "admin")
    assert (code, err) == (0, "")
    token = out.strip()
    assert re.fullmatch(r"monosweep_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", token)
    secret = token.rpartition("_")[2] if token.count("_") == 2 else token[23:]
    for path in at_home.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes()
    ledger = Ledger(f"sqlite:///{at_home / 'ledger.db'}")
    assert tokens.caller(ledger.engine, token) == tokens.Caller("ann", "admin")
    _, out, _ = _run(capsys, "token", "list")
    assert "ann" in out and "admin" in out
    code, out, err = _run(capsys, "token", "revoke", "ann")
    assert (code, out) == (0, "")
    assert tokens.caller(ledger.engine, token) is None
    deeds = [(one.client, one.action, one.status) for one in audit.deeds(ledger.engine)]
    assert deeds == [
        ("command line", "token revoke ann", 200),
        ("command line", "token create ann", 200),
    ]
    ledger.close()
    (known,) = json.loads(_run(capsys, "token", "list", "--json")[1])
    assert (known["name"], known["role"]) == ("ann", "admin")
    assert known["revoked_at"] > known["created_at"]


@pytest.fixture
def forgetful() -> Iterator[list[bool]]:
    """A ledger that goes away, while this is true, when something is to go into the audit."""
    is_away = [False]

    def look(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if is_away[0] and statement.startswith("INSERT INTO monosweep_audit"):
            raise LedgerAwayError("the ledger does not answer.")

    event.listen(Engine, "before_cursor_execute", look)
    yield is_away
    event.remove(Engine, "before_cursor_execute", look)


def test_no_token_comes_or_goes_that_the_audit_does_not_have(
    at_home: Path, capsys: Any, forgetful: list[bool]
) -> None:
    create = ("token", "create", "--role", "viewer", "--name")
    assert _run(capsys, *create, "ann")[0] == 0
    forgetful[:] = [True]
    for words in ((*create, "ben"), ("token", "revoke", "ann")):
        code, out, err = _run(capsys, *words)
        assert (code, out) == (1, ""), words
        assert "does not answer" in err
    forgetful[:] = [False]
    # What was never printed is good for nobody, and keeps no name taken.
    known = json.loads(_run(capsys, "token", "list", "--json")[1])
    assert [(one["name"], one["revoked_at"]) for one in known] == [("ann", None)]
    assert _run(capsys, *create, "ben")[0] == 0


def test_what_token_refuses(at_home: Path, capsys: Any) -> None:
    create = ("token", "create", "--name")
    for words, message in (
        ((*create, "two words", "--role", "viewer"), "must be a simple word"),
        ((*create, "-x", "--role", "viewer"), "must be a simple word"),
        ((*create, "ann", "--role", "king"), "one of viewer, submitter, admin"),
        (("token", "revoke", "ann"), "there must be a ledger to read"),
        (("token", "list"), "there must be a ledger to read"),
    ):
        code, out, err = _run(capsys, *words)
        assert (code, out) == (2, ""), words
        assert message in err
    assert not at_home.exists()
    _run(capsys, *create, "ann", "--role", "viewer")
    code, _, err = _run(capsys, *create, "ann", "--role", "admin")
    assert code == 2
    assert "monosweep token revoke ann" in err
    code, _, err = _run(capsys, "token", "revoke", "bob")
    assert (code, "found only: ann" in err) == (2, True)
