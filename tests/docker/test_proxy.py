"""The proxy of the compose file: whom it lets see MLflow, and what it lets them do there."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from loopback import free_port

PATIENCE_S = 20
SESSION = {"Cookie": "monosweep_session=good"}
TOKEN = {"Authorization": "Bearer good"}
# As a browser sends the searches of MLflow's pages.
SEARCH = "/mlflow/ajax-api/2.0/mlflow/runs/search"


class Server(BaseHTTPRequestHandler):
    """Knows one token by the API, and one session by the pages."""

    def do_GET(self) -> None:
        good = {"/v1/whoami": ("Authorization", "Bearer good"), "/session": ("Cookie", "good")}
        header, value = good.get(self.path, ("Host", ""))
        is_known = self.headers.get(header, "").endswith(value)
        self.send_response(200 if is_known else 401 if "whoami" in self.path else 303)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


class MLflow(BaseHTTPRequestHandler):
    """Says what has come through to it."""

    def _say(self) -> None:
        shown = [name for name in ("Authorization", "Cookie") if name in self.headers]
        said = " ".join([self.command, self.path, *shown]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = _say  # noqa: N815  (http.server's names)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def _listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Asks the proxy, whose file is as it is but for addresses, ports and TLS."""
    program = shutil.which("caddy", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip("there is no caddy here")
    written = (Path(__file__).parents[2] / "docker/compose/Caddyfile").read_text()
    port, health = free_port(), free_port()
    with _listening(Server) as server, _listening(MLflow) as mlflow:
        for there, here in (
            ("https://:8443", f"http://127.0.0.1:{port}"),
            ("server:8700", f"127.0.0.1:{server}"),
            ("mlflow:5000", f"127.0.0.1:{mlflow}"),
            ("127.0.0.1:8080", f"127.0.0.1:{health}"),
        ):
            assert there in written
            written = written.replace(there, here)
        written = re.sub(r"\n\ttls [^\n]*", "", written)
        path = tmp_path_factory.mktemp("proxy") / "Caddyfile"
        path.write_text(written)
        process = subprocess.Popen(
            [program, "run", "--config", path, "--adapter", "caddyfile"],
            stderr=subprocess.DEVNULL,
            env={"HOME": str(path.parent)},
        )
        try:
            # Until it listens.
            patient = httpx.HTTPTransport(retries=8)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=patient) as client:
                yield client
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


@pytest.mark.parametrize("shown", [SESSION, TOKEN], ids=["a session", "a token"])
def test_whoever_the_server_knows_looks_at_mlflow_which_sees_no_secret(
    proxy: httpx.Client, shown: dict[str, str]
) -> None:
    assert proxy.get("/mlflow/static/app.js", headers=shown).text == "GET /static/app.js"
    assert proxy.post(SEARCH, headers=shown).text == f"POST {SEARCH.removeprefix('/mlflow')}"


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        ({}, 303),
        ({"Cookie": "monosweep_session=bad"}, 303),
        ({"Authorization": "Bearer bad"}, 401),
        # One that is bad is not made good by another.
        ({**SESSION, "Authorization": "Bearer bad"}, 401),
    ],
)
def test_nobody_else_does(proxy: httpx.Client, shown: dict[str, str], status: int) -> None:
    for answer in (proxy.get("/mlflow/", headers=shown), proxy.post(SEARCH, headers=shown)):
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/mlflow/api/2.0/mlflow/runs/create"),
        ("POST", "/mlflow/ajax-api/2.0/mlflow/runs/update"),
        ("POST", "/mlflow/ajax-api/2.0/mlflow/runs/delete?search"),
        ("PATCH", "/mlflow/ajax-api/2.0/mlflow/registered-models/update"),
        ("DELETE", "/mlflow/ajax-api/2.0/mlflow/registered-models/delete"),
        ("PUT", "/mlflow/api/2.0/mlflow-artifacts/artifacts/search"),
    ],
)
def test_nothing_that_changes_runs_comes_through(
    proxy: httpx.Client, method: str, path: str
) -> None:
    for shown in (SESSION, TOKEN):
        assert proxy.request(method, path, headers=shown).status_code == 403


def test_all_that_it_lets_through_only_looks() -> None:
    """By MLflow's own list of what it answers, and of what its GraphQL can be asked to change."""
    from mlflow.server import app
    from mlflow.server.graphql.graphql_schema_extensions import schema

    written = (Path(__file__).parents[2] / "docker/compose/Caddyfile").read_text()
    (let_through,) = re.findall(r"path_regexp\('([^']+)'\)", written)
    posts = [rule for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())]
    taken = {rule.rule.rpartition("/")[2] for rule in posts if re.search(let_through, rule.rule)}
    assert taken == {"graphql", "search", "search-datasets"}
    assert set(schema.graphql_schema.mutation_type.fields) == {
        "mlflowSearchDatasets",
        "mlflowSearchRuns",
        "testMutation",
    }
