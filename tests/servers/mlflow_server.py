"""A real MLflow server, on loopback unless another place is named."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from loopback import HERE, STOP_S, Place, free_port, wait_until


class MlflowServer:
    """A server that keeps artifacts itself; stopped and started again it has the same port.

    Artifacts and log lie in a temporary folder, which ``close`` removes.

    Args:
        backend: Where it keeps runs, as a SQLAlchemy URL; by default SQLite in the folder.
        place: Where it listens.
    """

    def __init__(self, backend: str | None = None, place: Place = HERE) -> None:
        self._place = place
        self._folder = Path(tempfile.mkdtemp(prefix="monosweep-mlflow-"))
        self._log = self._folder / "log"
        self._backend = backend or f"sqlite:///{self._folder / 'mlflow.db'}"
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """What clients call it."""
        return f"http://{self._place.address}:{self._port}"

    def start(self) -> None:
        """Start it, or start it again."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(*self._place.words, sys.executable, "-m", "mlflow", "server"),
                    *(
                        "--workers",
                        "1",
                        "--host",
                        self._place.address,
                        "--port",
                        str(self._port),
                        "--serve-artifacts",
                    ),
                    *("--backend-store-uri", self._backend),
                    *("--artifacts-destination", str(self._folder / "artifacts")),
                ],
                env={
                    **os.environ,
                    # Its helper processes run jobs that nothing here asks for.
                    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                    "MLFLOW_DISABLE_TELEMETRY": "true",
                },
                cwd=self._folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own: its worker must end with it.
                start_new_session=True,
            )
        wait_until(self._answers, self._process, self._log)

    def stop(self) -> None:
        """End it at once, as a crash would: what was committed stays."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_S)
        self._process = None

    def close(self) -> None:
        """End it, and remove all that it wrote into its folder."""
        if self._process is not None:
            self.stop()
        shutil.rmtree(self._folder)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=1.0) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
