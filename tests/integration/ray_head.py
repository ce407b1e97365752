"""A Ray head with a dashboard, as a server's cluster, which lets nobody in without its token."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil
from loopback import HOST, STOP_S, free_port, is_listening, wait_until
from nodes import OBJECT_STORE_BYTES

TOKEN = "a token of the tests, of no other cluster"
CLIENT = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
# It gives up where a part of it takes more than 30 s to start, as it may on a busy machine.
STARTS = 3
PORTS = (
    "port",
    "dashboard-port",
    "dashboard-agent-listen-port",
    "dashboard-agent-grpc-port",
    "ray-client-server-port",
    "metrics-export-port",
)


class RayHead:
    """A head that runs jobs, and takes work itself.

    Args:
        environment: Of its processes, and so of the jobs'.
        num_cpus: How many cohorts of one processor it takes.
    """

    def __init__(self, environment: Mapping[str, str], num_cpus: int) -> None:
        # Not below a test's folder: the paths of sockets must be short.
        self._folder = Path(tempfile.mkdtemp(prefix="ray-"))
        for left in reversed(range(STARTS)):
            try:
                self._start(environment, num_cpus)
            except RuntimeError:
                self._end()
                if not left:
                    raise
            else:
                return

    def _start(self, environment: Mapping[str, str], num_cpus: int) -> None:
        ports = {name: free_port() for name in PORTS}
        self.address = f"http://{HOST}:{ports['dashboard-port']}"
        words = ["--head", "--block", "--include-dashboard=true", f"--dashboard-host={HOST}"]
        words += [f"--node-ip-address={HOST}"]
        words += [f"--{name}={port}" for name, port in ports.items()]
        words += [f"--num-cpus={num_cpus}", f"--object-store-memory={OBJECT_STORE_BYTES}"]
        words += [f"--temp-dir={self._folder}", "--disable-usage-stats"]
        log = self._folder / "log"
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", *words],
                env={**environment, **CLIENT},
                cwd=self._folder,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        # Ray's agent goes on without its port if somebody has it, and no job ever starts.
        answering = [ports["dashboard-port"], ports["dashboard-agent-listen-port"]]
        wait_until(lambda: all(is_listening(HOST, port) for port in answering), self._process, log)

    @property
    def process(self) -> psutil.Process:
        """The one that started all others."""
        return psutil.Process(self._process.pid)

    def close(self) -> None:
        """End all of it."""
        self._end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self) -> None:
        tree = [self._process.pid]
        with suppress(psutil.NoSuchProcess):
            tree += [one.pid for one in psutil.Process(tree[0]).children(recursive=True)]
        for pid in tree:
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
        self._process.wait(STOP_S)
