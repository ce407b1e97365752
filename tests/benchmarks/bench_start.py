"""How long commands take to start, a sweep to its first training step, and what of it is imports.

And how much of a sweep of short cohorts is no training: what lies between two of them in a worker.

Run by ``make bench-start``; prints tables and writes ``build/bench/start.json``. Every command runs
in processes of its own, as a user starts it, with what it imports in the system's file cache; the
best of several runs counts.
"""

import argparse
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "integration"))

from family import Cost, cost_of
from shell import TINY

from service.ledger import Ledger

OUTPUT = Path("build/bench/start.json")
COMMAND = (sys.executable, "-m", "service")
# Seconds of wall time that each is to take; of a sweep those until a worker begins its first step.
LIMITS = {"--help": 0.3, "validate quickstart": 1.0, "status": 1.0, "run": 12.0}
# Of a cohort of 16 trials that train for two seconds in all.
LIMIT_OUTSIDE = 0.2
# Of some cohorts of a second, so that hardly anything is training.
SWEEP = TINY.replace("SPACE", "bias_and_width")
SHORT = {"num_trials: 4": "num_trials: 80", "cohort_size: 2": "cohort_size: 16"}
NUM_HEAVIEST = 10
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| +([\w.]+)")


class Milestones:
    """When a sweep's ledger was there, and its first cohort was handed out and at work."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._began = time.time()
        self.found: dict[str, float] = {}

    def look(self, seconds: float) -> None:
        """Ask the ledger, so many seconds after the start, for what is not known yet."""
        if "first step" in self.found or not self._ledger.exists():
            return
        self.found.setdefault("ledger", seconds)
        # Its tables may not be there yet, or be locked.
        with suppress(sqlite3.OperationalError):
            uri = f"file:{self._ledger}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=0.0)) as connection:
                table = "FROM monosweep_attempts"
                (handed_out,) = connection.execute(f"SELECT min(started_at) {table}").fetchone()
                if handed_out is not None:
                    self.found["handed out"] = handed_out - self._began
                at_work = f"SELECT 1 {table} WHERE first_step IS NOT NULL"
                if connection.execute(at_work).fetchone():
                    self.found["first step"] = seconds


def environment(home: Path) -> dict[str, str]:
    """A user's, bare of what points elsewhere; MLflow gets numbers alone."""
    elsewhere = ("MONOSWEEP_", "MLFLOW_", "RAY_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(elsewhere)}
    return {**kept, "MONOSWEEP_HOME": str(home), "MONOSWEEP_SHOWCASE": "off"}


def packages(words: Sequence[str], home: Path) -> dict[str, float]:
    """Seconds that a command's own process spends in importing each package, the heaviest first."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *COMMAND[1:], *words],
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = {}
    for own_us, module in _IMPORT.findall(done.stderr):
        package = module.partition(".")[0]
        found[package] = found.get(package, 0.0) + int(own_us) / 1e6
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def sweep(spec: Path, home: Path) -> tuple[Cost, dict[str, float]]:
    """What a whole sweep costs, and its milestones in seconds from the command on."""
    milestones = Milestones(home / "ledger.db")
    cost = cost_of([*COMMAND, "run", str(spec)], environment(home), milestones.look)
    return cost, milestones.found


def outside_training(spec: Path, home: Path) -> dict[str, float]:
    """How a sweep's search spent its time once its first cohort had ended, one cohort at a time."""
    sweep(spec, home)
    with closing(Ledger(f"sqlite:///{home / 'ledger.db'}", create=False)) as ledger:
        trials = [trial for trial in ledger.trials("tiny") if trial.phase == "search"]
        ends = [
            attempt.ended_at
            for attempt in ledger.attempts("tiny")
            if attempt.cohort_id.startswith("search-") and attempt.ended_at is not None
        ]
    later = [trial.result for trial in trials if trial.cohort_id != "search-0"]
    training_s = sum(result.train_s for result in later if result is not None)
    wall_s = max(ends) - min(ends)
    return {
        "cohorts": len(ends) - 1,
        "wall_s": wall_s,
        "training_s": training_s,
        "outside": 1.0 - training_s / wall_s,
    }


def _case(words: Sequence[str], costs: Sequence[Cost], imports: Mapping[str, float]) -> Any:
    best = min(costs, key=lambda cost: cost.wall_s)
    return {
        "command": " ".join(words),
        "wall_s": best.wall_s,
        "cpu_s": min(cost.total_cpu_s for cost in costs),
        "cpu_by_process_s": dict(sorted(best.cpu_s.items(), key=lambda item: -item[1])),
        "imports_s": sum(imports.values()),
        "packages_s": dict(imports),
    }


def measure(num_quick: int, num_sweeps: int, short: Mapping[str, str] = SHORT) -> dict[str, Any]:
    """The whole benchmark, as it is written.

    Args:
        num_quick: Runs of each quick command.
        num_sweeps: Of a whole sweep.
        short: What of the tiny sweep is replaced for the one of short cohorts.
    """
    with TemporaryDirectory(prefix="monosweep-bench-") as name:
        folder = Path(name)
        spec = folder / "tiny.yaml"
        spec.write_text(SWEEP)
        sweeps = [sweep(spec, folder / f"home-{number}") for number in range(num_sweeps)]
        home = folder / "home-0"
        cases = []
        for words in (["--help"], ["validate", "quickstart"], ["status"]):
            costs = [cost_of([*COMMAND, *words], environment(home)) for _ in range(num_quick)]
            cases.append(_case(words, costs, packages(words, home)))
        imports = packages(["run", str(spec)], folder / "imports")
        costs = [cost for cost, _ in sweeps]
        milestones = min((found for _, found in sweeps), key=lambda found: found["first step"])
        cases.append({**_case(["run"], costs, imports), "milestones_s": milestones})
        short_spec = folder / "short.yaml"
        text = SWEEP
        for old, new in short.items():
            text = text.replace(old, new)
        short_spec.write_text(text)
        short_cohorts = outside_training(short_spec, folder / "short")
    reached = {case["command"]: case["wall_s"] for case in cases} | {
        "run": milestones["first step"]
    }
    return {
        "machine": {"cores": os.cpu_count()},
        "versions": {name: version(name) for name in ("torch", "ray", "optuna", "mlflow")},
        "rows": [
            {"case": words, "ours": reached[words], "other": None, "ratio": None, "unit": "s"}
            for words in LIMITS
        ],
        "limit": LIMITS,
        "short_cohorts": {**short_cohorts, "limit": LIMIT_OUTSIDE},
        "breakdown": cases,
    }


def show(found: Mapping[str, Any]) -> None:
    """The tables."""
    for row in found["rows"]:
        what = "run, to the first step" if row["case"] == "run" else row["case"]
        print(f"{what:24} {row['ours']:6.2f} s (to be below {found['limit'][row['case']]:g} s)")
    short = found["short_cohorts"]
    print(
        f"short cohorts: {short['outside']:.0%} of {short['wall_s'] / short['cohorts']:.2f} s a "
        f"cohort is no training (to be below {short['limit']:.0%})"
    )
    for case in found["breakdown"]:
        print(
            f"\n{case['command']}: {case['wall_s']:.2f} s, {case['cpu_s']:.2f} s of processor, "
            f"{case['imports_s']:.2f} s of it imports"
        )
        for title, key in (
            ("milestones", "milestones_s"),
            ("processor", "cpu_by_process_s"),
            ("imports", "packages_s"),
        ):
            shown = list(case.get(key, {}).items())[:NUM_HEAVIEST]
            if shown:
                print(f"  {title}: {', '.join(f'{name} {s:.2f}' for name, s in shown)}")


def main() -> None:
    """Measure, print the tables, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweeps", type=int, default=3, help="sweeps, the best of which counts")
    options = parser.parse_args()
    found = measure(5, options.sweeps)
    show(found)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
