"""How long somebody waits for the pages of a sweep of 5,000 trials: MLflow's, and the report.

Run by ``make bench-pages``; needs Chromium (``apt-get install chromium fonts-dejavu-core``). Prints
seconds and writes ``build/bench/pages.json``. MLflow keeps its runs in SQLite, as at home.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path += [str(Path(__file__).parents[1] / name) for name in ("servers", "browser")]

from chromium import executable, started, visit
from large_sweep import large_sweep
from many_runs import multiply
from mlflow_server import MlflowServer
from playwright.sync_api import Browser
from results import row, whole, write
from runs_page import open_list, sort_by

from service.home import Home
from service.opened import open_sweep
from service.report import write_report
from service.tracking import Facts, Projection

NUM_TRIALS = 5000
NUM_TEMPLATES = 8
TRIES = 3
OUTPUT = Path("build/bench/pages.json")


def quickest(act: Callable[[], object]) -> float:
    """Seconds that something takes, the least of some tries: others are at work here too."""
    found = []
    for _ in range(TRIES):
        began = time.perf_counter()
        act()
        found.append(time.perf_counter() - began)
    return min(found)


def measure(folder: Path, num_trials: int, browser: Browser) -> list[dict[str, Any]]:
    """A row for each thing that is waited for.

    Args:
        folder: Where a sweep is drawn, and MLflow's file made.
        num_trials: Search trials of it.
        browser: The browser.
    """
    home = Home(
        path=folder,
        ledger_url=f"sqlite:///{folder / 'ledger.db'}",
        tracking_uri=f"sqlite:///{folder / 'mlflow.db'}",
        storage=str(folder),
    )
    large_sweep(home, num_trials)
    sweep = open_sweep("large", home)
    projection = Projection(home.tracking_uri, home.artifacts, Facts.of(sweep.record))
    complete = [t for t in sweep.known_trials if t.phase == "search" and t.state == "complete"]
    for trial in complete[:NUM_TEMPLATES]:
        projection.project_trial(trial, sweep.curves_of(trial.trial_id))
    multiply(folder / "mlflow.db", num_trials)
    projection.analyze()
    page = home.report("large")
    found = {"report written": quickest(lambda: write_report(open_sweep("large", home), page))}
    with closing(MlflowServer(home.tracking_uri)) as server:
        server.start()
        seen = visit(browser, "about:blank").page
        runs = f"{server.uri}/#/experiments/{projection.experiment_id}/runs"
        found["report opened"] = quickest(lambda: seen.goto(page.as_uri()))
        found["list of runs opened"] = quickest(lambda: open_list(seen, runs))
        found["list sorted by a metric"] = quickest(lambda: sort_by(seen, "loss_ratio"))
    return [row(f"{num_trials} trials: {what}", seconds) for what, seconds in found.items()]


def main(arguments: Sequence[str]) -> int:
    """Measure, print, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=NUM_TRIALS, help="fewer for trying")
    options = parser.parse_args(arguments)
    chromium = executable()
    if chromium is None:
        print("bench-pages needs a browser, found none: apt-get install chromium", file=sys.stderr)
        return 2
    with TemporaryDirectory() as folder, started(chromium) as browser:
        rows = measure(Path(folder), options.trials, browser)
    for one in rows:
        print(f"{one['case']:45} {one['ours']:6.1f} s")
    write(OUTPUT, whole(rows, ("mlflow", "matplotlib", "playwright")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
