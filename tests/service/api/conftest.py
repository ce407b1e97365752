"""A server's app in this process: tokens of every role, a ledger, a cluster that is scripted."""

import shutil
import socket
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from service.api.app import create_app
from service.api.limits import Limits
from service.dispatch.jobs import JobState
from service.errors import ClusterAwayError
from service.home import Home
from service.ledger import Ledger, audit, tokens
from service.ledger.audit import Deed

with warnings.catch_warnings():
    # Its other client, which it would rather have, comes with nothing that we use.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

# A server without tokens answers to names of this machine only.
HERE = "http://localhost"
# By name of the token; ``ann`` submits what the tests submit unless they say otherwise.
ROLES = {"vera": "viewer", "ann": "submitter", "ben": "submitter", "root": "admin"}


@dataclass
class ScriptedJobs:
    """A cluster that says what a test has told it."""

    states: dict[str, JobState] = field(default_factory=dict)
    is_away: bool = False
    num_asked: int = 0

    def submit(self, job_id: str, words: Sequence[str]) -> None:
        raise AssertionError("the API starts no driver itself")

    def stop(self, job_id: str) -> None:
        raise AssertionError("the API stops no driver itself")

    def state(self, job_id: str) -> JobState | None:
        self.num_asked += 1
        if self.is_away:
            raise ClusterAwayError("the cluster is away, at 10.1.2.3")
        return self.states.get(job_id)

    def log(self, job_id: str, num_lines: int) -> str:
        self.state(job_id)
        lines = [f"line {number} of {job_id}\n" for number in range(9)]
        return "".join([*lines, "postgresql://me:hunter2@host/db\n"][-num_lines:])


@dataclass
class Served:
    """An app, and what it stands on."""

    app: FastAPI
    ledger: Ledger
    home: Home
    jobs: ScriptedJobs
    tokens: dict[str, str]
    client: Any
    woken: list[None]

    def call(
        self, method: str, path: str, by: str | None = "ann", **options: Any
    ) -> httpx.Response:
        headers = {**options.pop("headers", {}), **(self.bearing(by) if by else {})}
        return self.client.request(method, path, headers=headers, **options)

    def get(self, path: str, by: str | None = "ann", **options: Any) -> httpx.Response:
        return self.call("GET", path, by, **options)

    def post(self, path: str, by: str | None = "ann", **options: Any) -> httpx.Response:
        return self.call("POST", path, by, **options)

    def submit(self, text: str, by: str = "ann", **body: Any) -> httpx.Response:
        return self.post("/v1/sweeps", by, json={"spec": text, **body})

    def bearing(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[name]}"}

    @property
    def deeds(self) -> list[Deed]:
        return audit.deeds(self.ledger.engine)


Serve = Callable[..., Any]


def _make_tokens(ledger: Ledger) -> dict[str, str]:
    made = {name: tokens.create(ledger.engine, name, role) for name, role in ROLES.items()}
    made["rex"] = tokens.create(ledger.engine, "rex", "admin")
    tokens.revoke(ledger.engine, "rex")
    return made


@pytest.fixture(scope="session")
def new_ledger(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A ledger with tokens and nothing else, to be copied: to make one takes a second."""
    path = tmp_path_factory.mktemp("new") / "ledger.db"
    with closing(Ledger(f"sqlite:///{path}")) as ledger:
        made = _make_tokens(ledger)
    return path, made


@contextmanager
def _served(
    new_ledger: tuple[Path, dict[str, str]], home: Home, limits: Limits, **options: Any
) -> Iterator[Served]:
    empty, made = new_ledger
    is_file = home.ledger_url.startswith("sqlite:///")
    if is_file:
        path = Path(home.ledger_url.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(empty, path)
    with closing(Ledger(home.ledger_url)) as ledger:
        made = made if is_file else _make_tokens(ledger)
        jobs, woken = ScriptedJobs(), []
        app = create_app(
            ledger, home, jobs=jobs, wake=lambda: woken.append(None), limits=limits, **options
        )
        with TestClient(app, HERE, raise_server_exceptions=False) as client:
            yield Served(app, ledger, home, jobs, made, client, woken)


@pytest.fixture
def serve(new_ledger: tuple[Path, dict[str, str]]) -> Serve:
    """``with serve(home, limits) as served``: an app over a home of its own."""
    return partial(_served, new_ledger)


@pytest.fixture
def served(serve: Serve, home: Home) -> Iterator[Served]:
    """An app over a ledger with tokens and nothing else."""
    with serve(home, Limits()) as found:
        yield found


@pytest.fixture
def without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps are deleted everywhere but in MLflow, which takes seconds to be there."""
    monkeypatch.setattr("service.tracking.check_answers", lambda _uri: None)
    monkeypatch.setattr("service.tracking.remove", lambda _uri, _name: None)


@pytest.fixture(scope="session")
def new_client() -> Callable[[FastAPI], Any]:
    """``with new_client(app) as client``: asks an app in this process."""
    return partial(TestClient, base_url=HERE, raise_server_exceptions=False)


@pytest.fixture(scope="session")
def listening() -> Callable[[FastAPI], Any]:
    """``with listening(app) as url``: the app really listens there."""
    return _listening


@contextmanager
def _listening(app: FastAPI) -> Iterator[str]:
    """The URL of an app that really listens, in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        app.state.backing.closing.set()
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def live(served: Served) -> Iterator[tuple[Served, str]]:
    """The same app, and the URL where it really listens."""
    with _listening(served.app) as url:
        yield served, url
