"""A user at a terminal: commands run to their end, or started and stopped."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from entry_point import Said, bare_environment, called

TINY = """\
name: tiny
task: {kind: feature_decoder, num_features: 64, num_inputs: 16, feature_density: 0.03125}
model: {num_neurons: 64}
training: {num_steps: 512, batch_size: 32, learning_rate: 0.02, precision: float32}
search_space: SPACE
baseline: {num_seeds: 2}
objective: {maximize: monosemantic_per_feature, loss_margin: 0.5}
search: {num_trials: 4}
confirmation: {finalists: 1, num_seeds: 2}
compute: {cohort_size: 2, max_concurrent: 1}
"""
# Cohorts of some seconds, so that something can happen meanwhile.
LONGER = {
    "num_steps: 512": "num_steps: 3072",
    "learning_rate: 0.02": "learning_rate: 0.005",
    "num_trials: 4": "num_trials: 6",
    "max_concurrent: 1": "max_concurrent: 1, checkpoint_s: 1",
}
FREE = "{initial_bias: {float: [-1.0, 0.0]}, num_neurons: {int: [64, 128], step: 32}}"
PATIENCE_S = 300.0


def write_spec(folder: Path, space: str = FREE, **replaced: str) -> Path:
    text = TINY.replace("SPACE", space)
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / "tiny.yaml"
    path.write_text(text)
    return path


def wait_until(holds: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


class Started:
    """A command at work; what it says goes to a file, so that nobody has to read along."""

    def __init__(self, process: "subprocess.Popen[str]", said: Path) -> None:
        self.process = process
        self._said = said

    def said(self) -> str:
        """All that it said so far to standard error."""
        return self._said.read_text()

    def count(self, pattern: str) -> int:
        """How often it said this so far, wherever its lines were broken."""
        return len(re.findall(pattern, " ".join(self.said().split())))

    def until(self, pattern: str, times: int = 1) -> None:
        """Wait until it has said this, so often."""
        wait_until(lambda: self.count(pattern) >= times or self.process.poll() is not None)
        assert self.count(pattern) >= times, self.said()

    def ends(self, code: int = 0, seconds: float = PATIENCE_S) -> str:
        """Wait for its end; all that it said."""
        assert self.process.wait(seconds) == code, self.said()
        assert "Traceback" not in self.said(), self.said()
        return self.said()

    def stop(self, signum: int, code: int = 75) -> str:
        """Send it a signal and wait for its end; all that it said."""
        self.process.send_signal(signum)
        return self.ends(code)


@dataclass(frozen=True)
class Shell:
    """A user at a terminal, with a home of their own."""

    home: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        # Few look at what MLflow shows of these sweeps, and it takes longer than most of them.
        quiet = {"MONOSWEEP_SHOWCASE": "off"}
        return {**bare_environment(), **quiet, "MONOSWEEP_HOME": str(self.home), **self.variables}

    def run(
        self, *words: str, code: int = 0, seconds: float = PATIENCE_S
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "service", *words],
            env=self.environment(),
            cwd=self.home.parent,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def start(self, *words: str, own_group: bool = False) -> Started:
        said = self.home.parent / f"said-{time.monotonic_ns()}.txt"
        with said.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "service", *words],
                env=self.environment(),
                cwd=self.home.parent,
                stdout=subprocess.DEVNULL,
                stderr=file,
                text=True,
                start_new_session=own_group,
            )
        return Started(process, said)

    def look(self, *words: str) -> Said:
        """What a command says that only looks, and so need not have a process of its own."""
        said = called(*words, environment=self.environment())
        assert said.code == 0, said
        return said

    def json(self, *words: str) -> Any:
        return self.look(*words, "--json").json()

    def exported(self, name: str) -> Path:
        """Where ``trials`` writes the tables; not where another process of the tests does."""
        return self.home.parent / f"export-{name}-{os.getpid()}"

    def trials(self, name: str) -> list[dict[str, Any]]:
        folder = self.exported(name)
        self.look("export", name, "--output", str(folder))
        return pq.read_table(folder / "trials.parquet").to_pylist()  # type: ignore[no-any-return]


NUMBERS = ("loss", "monosemantic_per_feature", "feature_coverage", "mean_bias", "num_dead")


def numbers(rows: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    """What must be the same in every run of the same file and seed."""
    return [
        {k: v for k, v in row.items() if k in NUMBERS or k.startswith(("params.", "trial", "seed"))}
        for row in rows
    ]
