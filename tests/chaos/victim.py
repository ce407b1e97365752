"""A sweep that is killed: started, looked at, killed with all that it started, and finished."""

import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from shell import Shell, Started

from service.home import Home
from service.ledger import Ledger
from service.trials import Trial

NAME = "chaos"
NOTHING_YET = "nothing yet"
PLAIN = """\
name: chaos
task: {kind: feature_decoder, num_features: 64, num_inputs: 16, feature_density: 0.03125}
model: {num_neurons: 64}
training: {num_steps: 2048, batch_size: 32, learning_rate: 0.02, precision: float32}
search_space: bias_and_width
baseline: {num_seeds: 2}
objective: {maximize: monosemantic_per_feature, loss_margin: 0.5}
search: {num_trials: 4}
confirmation: {finalists: 1, num_seeds: 2}
compute: {cohort_size: 2, max_concurrent: 1, checkpoint_s: 0.1}
"""


@dataclass(frozen=True)
class Victim:
    """A sweep in a home of its own.

    Nobody but its driver opens its ledger while it may be resumed: whoever opens it first mends
    what a killed writer left, and that is to be the driver. Others read a copy.

    Attributes:
        folder: Where all of it lies.
        spec: Its sweep file.
    """

    folder: Path
    spec: str = PLAIN

    @property
    def shell(self) -> Shell:
        return Shell(self.folder / "home")

    @property
    def home(self) -> Home:
        path = self.shell.home
        return Home(
            path=path,
            ledger_url=f"sqlite:///{path / 'ledger.db'}",
            tracking_uri=f"sqlite:///{path / 'mlflow.db'}",
            storage=str(path),
        )

    def start(self) -> Started:
        """Begin it, or go on with it."""
        if self.phase() != NOTHING_YET:
            return self.shell.start("resume", NAME)
        self.folder.mkdir(exist_ok=True)
        spec = self.folder / "chaos.yaml"
        spec.write_text(self.spec)
        return self.shell.start("run", str(spec))

    def finish(self) -> None:
        """Let it go on to its end."""
        self.start().ends()

    def phase(self) -> str:
        """What it is at, by its ledger."""
        with self._copy() as ledger:
            return NOTHING_YET if ledger is None else ledger.sweep(NAME).phase

    def trials(self) -> list[Trial]:
        """What its ledger holds."""
        with self._copy() as ledger:
            return [] if ledger is None else ledger.trials(NAME)

    @contextmanager
    def _copy(self) -> Iterator[Ledger | None]:
        """A copy of its ledger, whole or not; None as long as the sweep is not in one."""
        with TemporaryDirectory() as folder:
            for name in ("ledger.db", "ledger.db-wal"):
                with suppress(FileNotFoundError):
                    shutil.copy(self.shell.home / name, folder)
            if not _is_begun(Path(folder) / "ledger.db"):
                yield None
                return
            with closing(Ledger(f"sqlite:///{folder}/ledger.db", create=False)) as ledger:
                yield ledger

    def checkpoint_files(self) -> list[Path]:
        """Of all cohorts, whole or not."""
        return list((self.shell.home / "cohorts" / NAME).glob("*/*"))


def _is_begun(ledger_db: Path) -> bool:
    """Whether a sweep has been written to it, by SQLite's own word."""
    with closing(sqlite3.connect(ledger_db)) as ledger:
        tables = {name for (name,) in ledger.execute("SELECT name FROM sqlite_master")}
        begun = "monosweep_sweeps" in tables and ledger.execute("SELECT 1 FROM monosweep_sweeps")
        return bool(begun and begun.fetchone())


class Tree:
    """A driver and all that it started, as far as it is known."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._members = [self._root]

    def look(self) -> None:
        """Find who belongs to it now."""
        with suppress(psutil.NoSuchProcess):
            self._members = [self._root, *self._root.children(recursive=True)]

    def freeze(self) -> None:
        """Stop all that are known, workers first, so that none gets out of what it is at."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL for all, at one moment as far as that goes."""
        self.look()
        self._signal(signal.SIGKILL)
        psutil.wait_procs(self._members[1:], timeout=10)

    def _signal(self, signum: int) -> None:
        for process in reversed(self._members):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signum)
