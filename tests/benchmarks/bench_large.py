"""How long the commands take that read a sweep of 10,000 trials, each as a process of its own.

Run by ``make bench-large``, on SQLite and on PostgreSQL. ``resume`` extends the sweep by a cohort,
and is waited for until that is handed out; the seconds of the others are until they end. Prints
them, imports included, and writes ``build/bench/large.json``.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path += [str(Path(__file__).parents[1] / name) for name in ("servers", "browser")]

from large_sweep import COHORT_SIZE, large_sweep
from many_runs import multiply
from postgres import Postgres
from results import row, write
from sqlalchemy import update

from service.home import Home
from service.ledger import Ledger, Writer, held, tables
from service.opened import open_sweep
from service.planning import Resolved
from service.tracking import Facts, Projection

NUM_TRIALS = 10_000
# Runs that the others in MLflow are copies of.
NUM_TEMPLATES = 8
# The last one: the others read the sweep as it was drawn.
RESUME = "resume"
COMMANDS = {
    "status": ("status", "large"),
    "best": ("best", "large"),
    "export": ("export", "large", "--output", "exported"),
    "watch": ("watch", "large"),
    "importance": ("importance", "large"),
    "report": ("report", "large", "--output", "report.html"),
    "doctor": ("doctor",),
}
# Until the last process is given up.
PATIENCE_S = 300.0
LOOK_S = 0.05
OUTPUT = Path("build/bench/large.json")


def drawn(folder: Path, ledger_url: str, num_trials: int) -> Home:
    """A home with a finished sweep, settled and in MLflow as its driver would have left it."""
    home = Home(
        path=folder,
        ledger_url=ledger_url,
        tracking_uri=f"sqlite:///{folder / 'mlflow.db'}",
        storage=str(folder),
    )
    large_sweep(home, num_trials)
    settled = Resolved(
        cohort_size=COHORT_SIZE,
        max_concurrent=1,
        sampler="nsga2",
        precision="float32",
        device="cpu",
        cpus=1,
        gpus=0.0,
    )
    with (
        closing(Ledger(home.ledger_url)) as ledger,
        held(ledger.engine, "large") as lease,
        closing(Writer(ledger, lease)) as writer,
    ):
        writer.record_resolved(settled.as_json())
        with tables.writing(ledger.engine) as connection:
            connection.execute(update(tables.results).values(mlflow_run_id="there"))
    _project(home, num_trials)
    return home


def _project(home: Home, num_trials: int) -> None:
    """A run for each trial, most of them copies."""
    sweep = open_sweep("large", home)
    projection = Projection(home.tracking_uri, home.artifacts, Facts.of(sweep.record))
    searched = [trial for trial in sweep.known_trials if trial.phase == "search"]
    for trial in searched[:NUM_TEMPLATES]:
        projection.project_trial(trial, sweep.curves_of(trial.trial_id))
    multiply(home.mlflow_db, num_trials)
    for trial in sweep.known_trials:
        if trial.phase != "search":
            projection.project_trial(trial, sweep.curves_of(trial.trial_id))
    verdict = sweep.best()
    projection.project_summary(sweep.record.spec_text, verdict, "FINISHED", num_ended=num_trials)
    projection.analyze()


def measure(
    folder: Path, ledger_url: str, num_trials: int, commands: Sequence[str]
) -> Iterator[tuple[str, float]]:
    """Seconds that each command takes.

    Args:
        folder: Where a sweep is drawn, and what the commands write goes.
        ledger_url: An empty database.
        num_trials: Search trials of it.
        commands: Which of ``COMMANDS``, and ``RESUME``.
    """
    home = drawn(folder, ledger_url, num_trials)
    for name in commands:
        yield (
            name,
            until_handed_out(home, num_trials)
            if name == RESUME
            else until_it_ends(home, COMMANDS[name]),
        )


def until_it_ends(home: Home, words: Sequence[str]) -> float:
    """Seconds that a command takes."""
    began = time.perf_counter()
    with started(home, words) as process:
        said = process.communicate(timeout=PATIENCE_S)[0]
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}: {said}")
    return time.perf_counter() - began


def until_handed_out(home: Home, num_trials: int) -> float:
    """Seconds until a sweep that is extended by one cohort hands it out."""
    budget = num_trials + COHORT_SIZE
    words = (RESUME, "large", "--num-trials", str(budget), "--accept-changes")
    with closing(Ledger(home.ledger_url)) as ledger:
        before = len(ledger.attempts("large"))
        began = time.perf_counter()
        with started(home, words) as process:
            while len(ledger.attempts("large")) == before:
                if process.poll() is not None or time.perf_counter() - began > PATIENCE_S:
                    process.kill()
                    raise RuntimeError(f"no cohort was handed out: {process.communicate()[0]}")
                time.sleep(LOOK_S)
            took = time.perf_counter() - began
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE_S)
    return took


def started(home: Home, words: Sequence[str]) -> "subprocess.Popen[str]":
    """A command, at work."""
    return subprocess.Popen(
        [sys.executable, "-m", "service", *words],
        env={
            **os.environ,
            "MONOSWEEP_HOME": str(home.path),
            "MONOSWEEP_LEDGER_URL": home.ledger_url,
        },
        cwd=home.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def main(arguments: Sequence[str]) -> int:
    """Measure, print, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=NUM_TRIALS, help="fewer for trying")
    parser.add_argument("--commands", nargs="+", default=[*COMMANDS, RESUME], help="some of them")
    options = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder, closing(Postgres()) as postgres:
        postgres.start()
        databases = {
            "sqlite": f"sqlite:///{Path(folder) / 'sqlite' / 'ledger.db'}",
            "postgresql": postgres.new_database(),
        }
        for database, url in databases.items():
            home = Path(folder) / database
            for name, took in measure(home, url, options.trials, options.commands):
                print(f"{options.trials} {database:10} {name:12} {took:6.1f} s", flush=True)
                rows.append(row(f"{options.trials} {database}: {name}", took))
    write(OUTPUT, rows, ("optuna", "sqlalchemy", "ray"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
