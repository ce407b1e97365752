"""How many trials a second MLflow is told, with their curves, and what it costs the driver.

Run by ``make bench-tracking``. All trials of a finished sweep end at once, which no MLflow keeps
up with: what the driver's thread spends on that, what the backlog takes in memory, and how long
MLflow takes to catch up. MLflow is a file at home, a server on SQLite, one on PostgreSQL, and one
that is killed on the way and away for some seconds. Prints a table and writes
``build/bench/tracking.json``.
"""

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "servers"))

from large_sweep import large_sweep
from mlflow import MlflowClient
from mlflow_server import MlflowServer
from postgres import Postgres
from results import row, whole, write

from service.home import Home
from service.ledger import Ledger, Writer, held
from service.tracking import Facts, Projection, Tracking
from service.tracking.runs import experiment_name, our_runs
from service.trials import Trial

NUM_TRIALS = 1000
AWAY_S = 10.0
# Between two looks at the process's memory.
LOOK_S = 0.05
OUTPUT = Path("build/bench/tracking.json")


@dataclass(frozen=True)
class Caught:
    """How MLflow caught up with trials that ended all at once.

    Attributes:
        num_trials: How many there were.
        num_runs: Trials that have a whole run in the end.
        num_doubled: Runs too many.
        driver_s: Seconds that the driver's thread spent on telling of all of them.
        slowest_s: The same, of the trial that took longest.
        total_s: Seconds from the first trial's end to the last run.
        grown_mb: What the process's memory grew by at most meanwhile, in MB.
    """

    num_trials: int
    num_runs: int
    num_doubled: int
    driver_s: float
    slowest_s: float
    total_s: float
    grown_mb: float

    @property
    def trials_a_second(self) -> float:
        """How fast MLflow was told."""
        return self.num_trials / self.total_s


def drawn(folder: Path, num_trials: int) -> Home:
    """A home with a finished sweep that MLflow has heard nothing of."""
    home = Home(
        path=folder,
        ledger_url=f"sqlite:///{folder / 'ledger.db'}",
        tracking_uri=f"sqlite:///{folder / 'mlflow.db'}",
        storage=str(folder),
    )
    large_sweep(home, num_trials)
    return home


def catch_up(home: Home, then: Callable[[], None] = lambda: None) -> Caught:
    """Let all trials of the home's sweep end at once, and wait until MLflow has them.

    Args:
        home: Where they are, and which MLflow is told.
        then: What happens as soon as they have ended.
    """
    with (
        closing(Ledger(home.ledger_url)) as ledger,
        held(ledger.engine, "large") as lease,
        closing(Writer(ledger, lease)) as writer,
    ):
        trials = ledger.trials("large")
        record = ledger.sweep("large")
        artifacts = home.artifacts if home.tracking_uri.startswith("sqlite") else None
        projection = Projection(home.tracking_uri, artifacts, Facts.of(record))
        # What is made once for a sweep, or by the first call of all, is nobody's trial.
        assert projection.experiment_id
        with memory_grown() as grown:
            began = time.perf_counter()
            with Tracking(lambda: projection, writer, home.storage, record.spec_text) as tracking:
                took = [seconds(tracking, trial) for trial in trials]
                then()
            total_s = time.perf_counter() - began
    return Caught(
        len(trials),
        *runs(home.tracking_uri),
        driver_s=sum(took),
        slowest_s=max(took),
        total_s=total_s,
        grown_mb=grown() / 1e6,
    )


def seconds(tracking: Tracking, trial: Trial) -> float:
    """What the driver's thread spends on telling of one trial."""
    began = time.perf_counter()
    tracking.trial_ended(trial)
    return time.perf_counter() - began


def runs(tracking_uri: str) -> tuple[int, int]:
    """Trials that have a whole run in MLflow, and runs too many."""
    client = MlflowClient(tracking_uri)
    experiment = client.get_experiment_by_name(experiment_name("large"))
    ended = [
        run.what
        for run in our_runs(client, experiment.experiment_id)
        if run.is_ended and run.what != "summary"
    ]
    return len(set(ended)), len(ended) - len(set(ended))


@contextmanager
def memory_grown() -> Iterator[Callable[[], int]]:
    """Bytes that this process's memory grew by at most, looked at now and then."""
    before = most = resident()
    ended = threading.Event()

    def look() -> None:
        nonlocal most
        while not ended.wait(LOOK_S):
            most = max(most, resident())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield lambda: most - before
    finally:
        ended.set()
        thread.join()


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure(folder: Path, num_trials: int, away_s: float) -> dict[str, Caught]:
    """By where MLflow keeps its runs, how it caught up.

    Args:
        folder: For sweeps and servers.
        num_trials: Search trials.
        away_s: Seconds for which the last server is away.
    """
    home = drawn(folder / "home", num_trials)
    found = {"a file at home": catch_up(home)}
    with closing(Postgres()) as postgres:
        postgres.start()
        for name, backend in (
            ("server, SQLite", None),
            ("server, PostgreSQL", postgres.new_database()),
        ):
            with closing(MlflowServer(backend)) as server:
                server.start()
                found[name] = catch_up(replace(home, tracking_uri=server.uri))
    with closing(MlflowServer()) as server:
        server.start()

        def leave() -> None:
            server.stop()
            time.sleep(away_s)
            server.start()

        found[f"server, away for {away_s:.0f} s"] = catch_up(
            replace(home, tracking_uri=server.uri), leave
        )
    return found


def rows(found: dict[str, Caught]) -> list[dict[str, Any]]:
    """What is waited for a trial, by case."""
    return [
        row(f"{caught.num_trials} trials: {name}", caught.total_s / caught.num_trials, "s a trial")
        for name, caught in found.items()
    ]


def main(arguments: Sequence[str]) -> int:
    """Measure, print, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=NUM_TRIALS, help="fewer for trying")
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        found = measure(Path(folder), options.trials, AWAY_S)
    print(
        f"{'MLflow':25} {'trials/s':>8} {'runs':>6} {'twice':>5} {'driver, a trial':>16} "
        f"{'at most':>9} {'memory':>8}"
    )
    for name, one in found.items():
        print(
            f"{name:25} {one.trials_a_second:8.1f} {one.num_runs:6} {one.num_doubled:5} "
            f"{one.driver_s / one.num_trials * 1e6:13.1f} us {one.slowest_s * 1e3:6.2f} ms "
            f"{one.grown_mb:5.0f} MB"
        )
    told = whole(
        rows(found),
        ("mlflow", "sqlalchemy"),
        memory={name: one.grown_mb * 1e6 for name, one in found.items()},
        breakdown={name: {"driver_s": one.driver_s} for name, one in found.items()},
    )
    write(OUTPUT, told)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
