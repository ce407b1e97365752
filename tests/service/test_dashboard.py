"""Optuna's dashboard shows the ledger's studies, and changes nothing."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from service.home import Home
from service.ledger import Writer

pytest.importorskip("optuna_dashboard")


@pytest.fixture
def process(home: Home, tiny_writer: Writer) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "service.dashboard", str(port)],
        stdin=subprocess.PIPE,
        env={**os.environ, "MONOSWEEP_LEDGER_URL": home.ledger_url},
    )
    assert process.stdin is not None
    yield process, f"http://127.0.0.1:{port}"
    process.stdin.close()
    process.wait(30)


def answer(url: str, method: str = "GET") -> bytes:
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method=method)) as response:
                return bytes(response.read())
        except urllib.error.HTTPError:
            raise
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def test_it_shows_and_never_changes_and_ends_with_its_parent(
    process: tuple[subprocess.Popen[bytes], str],
) -> None:
    dashboard, url = process
    studies = json.loads(answer(f"{url}/api/studies"))["study_summaries"]
    assert {study["study_name"] for study in studies} == {
        "tiny", "tiny/baseline", "tiny/confirmation",
    }  # fmt: skip
    for method in ("DELETE", "POST", "PUT"):
        with pytest.raises(urllib.error.HTTPError, match="405"):
            answer(f"{url}/api/studies/{studies[0]['study_id']}", method)
    assert len(json.loads(answer(f"{url}/api/studies"))["study_summaries"]) == 3
    assert dashboard.poll() is None
    assert dashboard.stdin is not None
    dashboard.stdin.close()
    assert dashboard.wait(30) == 0
