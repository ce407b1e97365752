"""The audit of what is pinned, against an OSV of our own on loopback."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

pytest.importorskip("pip_audit", reason="no pip-audit: make test installs it")

import dependencies

# What the OSV of the tests knows, as the real one says it.
ADVISORY = {
    "id": "GHSA-aaaa-bbbb-cccc",
    "summary": "Made up",
    "details": "Made up.",
    "published": "2024-01-01T00:00:00Z",
    "modified": "2024-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "leaky", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}],
        }
    ],
}


@pytest.fixture
def osv() -> Iterator[tuple[str, dict[str, Any]]]:
    """The URL of an OSV, and what it knows by package: to be changed."""
    known: dict[str, Any] = {"pip": ADVISORY, "leaky": ADVISORY}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            advisory = known.get(asked["package"]["name"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"vulns": [advisory]} if advisory else {}).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query", known
        server.shutdown()


@pytest.fixture
def pinned(tmp_path: Path) -> Path:
    path = tmp_path / "constraints.txt"
    path.write_text("sound==1.0\nleaky==1.5\n")
    return path


def test_what_is_known_fails_with_the_version_that_mends_it(
    osv: tuple[str, Any], pinned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dependencies.audit(pinned, osv=osv[0], accepted={}) == 1
    said = capsys.readouterr().err
    assert said.startswith("leaky 1.5: GHSA-aaaa-bbbb-cccc, mended in 2.0.")
    assert "sound" not in said


def test_what_does_not_apply_is_no_failure(osv: tuple[str, Any], pinned: Path) -> None:
    accepted = {"GHSA-aaaa-bbbb-cccc": "the part that leaks is not called"}
    assert dependencies.audit(pinned, osv=osv[0], accepted=accepted) == 0


def test_where_nobody_answers_that_is_said_in_a_line(
    osv: tuple[str, dict[str, Any]], pinned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dependencies.audit(pinned, osv="http://127.0.0.1:9/", accepted={}) == 0
    # A proxy's page, say, that answers all questions alike.
    url, known = osv
    known.clear()
    assert dependencies.audit(pinned, osv=url, accepted={}) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2
    assert all(line.startswith("dependencies were not audited: ") for line in said)


def test_a_file_that_pins_nothing_is_no_success(osv: tuple[str, Any], tmp_path: Path) -> None:
    loose = tmp_path / "constraints.txt"
    loose.write_text("sound>=1.0\n")
    assert dependencies.audit(loose, osv=osv[0], accepted={}) == 1


def test_ours_is_all_pinned() -> None:
    lines = (Path(__file__).parents[2] / dependencies.PINNED).read_text().splitlines()
    packages = [line for line in lines if line and not line.startswith("#")]
    assert len(packages) > 100
    assert [line for line in packages if "==" not in line] == []
