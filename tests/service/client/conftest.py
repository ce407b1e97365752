"""A server that answers on a real port, and a user who is somewhere else."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
import uvicorn
from entry_point import Said, called
from large_sweep import large_sweep

from service.api.app import create_app
from service.api.limits import Limits
from service.dispatch.jobs import JobState
from service.home import Home
from service.ledger import Ledger, queue, tokens

ROLES = {"ada": "submitter", "eve": "submitter", "vic": "viewer", "root": "admin"}
LIMITS = Limits(unfinished=3, trials=100)


class NoJobs:
    """A cluster that starts nothing by itself."""

    def submit(self, job_id: str, words: Sequence[str]) -> None:
        """Nothing comes of it."""

    def stop(self, job_id: str) -> None:
        """Nothing is there."""

    def state(self, job_id: str) -> JobState | None:
        """Nothing is known."""

    def log(self, job_id: str, num_lines: int) -> str:
        """So many lines."""
        return "".join(f"{job_id} [bold]line[/bold] {number}\n" for number in range(num_lines))


class RunningServer:
    """The app on a port of its own, in threads of this process; can be started again."""

    def __init__(self, home: Home, ledger: Ledger) -> None:
        self.home, self.ledger = home, ledger
        self.tokens = {
            name: tokens.create(ledger.engine, name, role)  # type: ignore[arg-type]
            for name, role in ROLES.items()
        }
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.jobs = NoJobs()
        self._server: uvicorn.Server | None = None

    @property
    def is_down(self) -> bool:
        return self._server is None

    def start(self) -> None:
        app = create_app(self.ledger, self.home, jobs=self.jobs, wake=lambda: None, limits=LIMITS)
        config = uvicorn.Config(app, port=self.port, log_level="error")
        self._server = uvicorn.Server(config)
        self._closing = app.state.backing.closing
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            time.sleep(0.02)

    def stop(self) -> None:
        if self._server is not None:
            self._server.should_exit = True
            self._closing.set()
            self._thread.join(30)
            self._server = None

    def empty_queue(self) -> None:
        """Nobody wants a sweep any more."""
        for entry in queue.entries(self.ledger.engine):
            queue.stop(self.ledger.engine, entry.sweep)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Its ledger holds the finished sweep ``drawn``, which nobody submitted."""
    path = tmp_path_factory.mktemp("server")
    home = Home(
        path=path,
        ledger_url=f"sqlite:///{path / 'ledger.db'}",
        tracking_uri=f"sqlite:///{path / 'mlflow.db'}",
        storage=str(path),
    )
    large_sweep(home, 8, "drawn")
    with closing(Ledger(home.ledger_url)) as ledger:
        server = RunningServer(home, ledger)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A user who has set nothing, in a folder of their own."""
    for name in os.environ:
        if name.startswith(("MONOSWEEP_", "MLFLOW_", "RAY_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def monosweep(environment: Path) -> Callable[..., Said]:
    """``monosweep("status", "tiny")``, in this process; a traceback fails the test."""
    return lambda *words: called(*words, environment=dict(os.environ))


@pytest.fixture
def at_server(
    running: RunningServer, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """``at_server("ada")``: from now on the user is she, and usually asks the server."""

    def become(name: str) -> None:
        monkeypatch.setenv("MONOSWEEP_SERVER", running.url)
        monkeypatch.setenv("MONOSWEEP_TOKEN", running.tokens[name])

    return become
