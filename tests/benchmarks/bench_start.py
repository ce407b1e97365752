"""How long commands take to start, a sweep to its first training step, and what of it is imports.

And how much of a sweep of short cohorts is no training: what lies between two of them in a worker.

Run by ``make bench-start``; prints tables and writes ``build/bench/start.json``. Every command runs
in processes of its own, as a user starts it, with what it imports in the system's file cache; the
best of several runs counts.
"""

import argparse
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "integration"))

from family import Cost, cost_of
from results import row, whole, write
from shell import Shell, write_spec

from service.ledger import Ledger

OUTPUT = Path("build/bench/start.json")
COMMAND = (sys.executable, "-m", "service")
# Seconds of wall time that each is to take; of a sweep those until a worker begins its first step.
LIMITS = {"--help": 0.3, "validate quickstart": 1.0, "status": 1.0, "run": 12.0}
# What of the tiny sweep is another in that of short cohorts: 16 trials train for about two seconds
# in all. Of longer cohorts a smaller part is no training, of shorter ones a larger part.
SHORT = {
    "num_trials: 4": "num_trials: 80",
    "cohort_size: 2": "cohort_size: 16",
    "num_steps: 512": "num_steps: 384",
}
LIMIT_OUTSIDE = 0.2
BETWEEN_S = (1.0, 4.0)
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


def packages(words: Sequence[str], home: Path) -> dict[str, float]:
    """Seconds that a command's own process spends in importing each package, the heaviest first."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *COMMAND[1:], *words],
        env=Shell(home).environment(),
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
    command = [*COMMAND, "run", str(spec)]
    cost = cost_of(command, Shell(home).environment(), milestones.look)
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
        spec = write_spec(folder, "bias_and_width")
        sweeps = [sweep(spec, folder / f"home-{number}") for number in range(num_sweeps)]
        home = folder / "home-0"
        cases = []
        for words in (["--help"], ["validate", "quickstart"], ["status"]):
            command, environment = [*COMMAND, *words], Shell(home).environment()
            costs = [cost_of(command, environment) for _ in range(num_quick)]
            cases.append(_case(words, costs, packages(words, home)))
        imports = packages(["run", str(spec)], folder / "imports")
        costs = [cost for cost, _ in sweeps]
        milestones = min((found for _, found in sweeps), key=lambda found: found["first step"])
        cases.append({**_case(["run"], costs, imports), "milestones_s": milestones})
        (folder / "short").mkdir()
        short_spec = write_spec(folder / "short", "bias_and_width", **short)
        short_cohorts = outside_training(short_spec, folder / "short" / "home")
    reached = {case["command"]: case["wall_s"] for case in cases} | {
        "run": milestones["first step"]
    }
    return whole(
        [row(words, reached[words]) for words in LIMITS],
        ("torch", "ray", "optuna", "mlflow"),
        limit=LIMITS,
        breakdown=cases,
        short_cohorts={**short_cohorts, "limit": LIMIT_OUTSIDE},
    )


def show(found: Mapping[str, Any]) -> None:
    """The tables."""
    for one in found["rows"]:
        what = "run, to the first step" if one["case"] == "run" else one["case"]
        print(f"{what:24} {one['ours']:6.2f} s (to be below {found['limit'][one['case']]:g} s)")
    show_short(found["short_cohorts"])
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


def show_short(short: Mapping[str, float]) -> None:
    """What of short cohorts is no training, and whether they were as short as they should be."""
    wall_s, training_s = (short[name] / short["cohorts"] for name in ("wall_s", "training_s"))
    print(
        f"short cohorts: {training_s:.2f} s of {wall_s:.2f} s a cohort are training, "
        f"{short['outside']:.0%} are not (to be below {short['limit']:.0%})"
    )
    least, most = BETWEEN_S
    if not least <= training_s <= most:
        print(
            f"warning: a cohort should train for {least:g} to {most:g} s, found {training_s:.2f} "
            "s: of others the limit says nothing. Change num_steps in SHORT."
        )


def main() -> None:
    """Measure, print the tables, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweeps", type=int, default=3, help="sweeps, the best of which counts")
    options = parser.parse_args()
    found = measure(5, options.sweeps)
    show(found)
    write(OUTPUT, found)


if __name__ == "__main__":
    main()
