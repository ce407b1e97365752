"""How long the commands take that read a sweep of 10,000 trials, each as a process of its own.

Run by ``make bench-large``, on SQLite and on PostgreSQL. ``resume`` extends the sweep by a cohort,
and is waited for until that is handed out; then it is stopped, and told is too the most memory that
it had until it ended, MLflow and all the rest included. The seconds of the others are until they
end. Prints them, imports included, and writes ``build/bench/large.json``.
"""

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path += [
    str(Path(__file__).parents[1] / name) for name in ("integration", "servers", "browser")
]

from entry_point import bare_environment
from large_sweep import COHORT_SIZE, large_sweep
from many_runs import multiply
from peak_memory import peak_bytes
from postgres import Postgres
from results import row, whole, write
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
MIB = 2**20
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
# How often the ledger is asked for a new cohort: it is the one that is waited for.
LOOK_S = 0.2
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
) -> Iterator[tuple[str, float, str]]:
    """What each command takes: of what, how much, and the unit.

    Args:
        folder: Where a sweep is drawn, and what the commands write goes.
        ledger_url: An empty database.
        num_trials: Search trials of it.
        commands: Which of ``COMMANDS``, and ``RESUME``.
    """
    home = drawn(folder, ledger_url, num_trials)
    for name in commands:
        if name == RESUME:
            seconds, num_bytes = until_handed_out(home, num_trials)
            yield name, seconds, "s"
            yield f"{name}, peak memory", num_bytes / MIB, "MiB"
        else:
            yield name, until_it_ends(home, COMMANDS[name]), "s"


def until_it_ends(home: Home, words: Sequence[str]) -> float:
    """Seconds that a command takes."""
    began = time.perf_counter()
    with started(home, words) as process:
        said = process.communicate(timeout=PATIENCE_S)[0]
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}: {said}")
    return time.perf_counter() - began


def until_handed_out(home: Home, num_trials: int) -> tuple[float, int]:
    """Seconds until a sweep that is extended by one cohort hands it out, and the driver's peak.

    The peak is that of its memory, in bytes, until it has ended, whose last moment may be missed.
    """
    budget = num_trials + COHORT_SIZE
    words = (RESUME, "large", "--num-trials", str(budget), "--accept-changes")
    with closing(Ledger(home.ledger_url)) as ledger:
        # The numbers alone: whoever looks takes a share of the same processors.
        before = ledger.num_written("large")
        began = time.perf_counter()
        with started(home, words) as process:
            while ledger.num_written("large") == before:
                if process.poll() is not None or time.perf_counter() - began > PATIENCE_S:
                    process.kill()
                    raise RuntimeError(f"no cohort was handed out: {process.communicate()[0]}")
                time.sleep(LOOK_S)
            took = time.perf_counter() - began
            peak = peak_bytes(process.pid)
            process.send_signal(signal.SIGTERM)
            while process.poll() is None:
                if time.perf_counter() - began > PATIENCE_S:
                    raise RuntimeError("resume did not end when it was stopped")
                peak = max(peak, peak_bytes(process.pid))
                time.sleep(LOOK_S)
    return took, peak


@contextmanager
def started(home: Home, words: Sequence[str]) -> "Iterator[subprocess.Popen[str]]":
    """A command, at work; killed if it still is in the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "service", *words],
        env={
            **bare_environment(),
            "MONOSWEEP_HOME": str(home.path),
            "MONOSWEEP_LEDGER_URL": home.ledger_url,
        },
        cwd=home.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # Leaving it waits for its end.
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


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
            for name, took, unit in measure(home, url, options.trials, options.commands):
                print(f"{options.trials} {database:10} {name:19} {took:6.1f} {unit}", flush=True)
                rows.append(row(f"{options.trials} {database}: {name}", took, unit))
    write(OUTPUT, whole(rows, ("optuna", "sqlalchemy", "ray")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
