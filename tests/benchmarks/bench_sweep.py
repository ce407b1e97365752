"""Whole sweeps beside the one that a user would write from the libraries' own pages.

Run by ``make bench-sweep``; prints a table and writes ``build/bench/sweep.json``. Both programs
sweep the quick start's task, network and space on two cores, from a command in an empty folder, one
right after the other: ``monosweep run`` on a sweep file, and ``plain_sweep.py``. Both train a
baseline on as many seeds and then as many trials of the search, each to the same number of steps,
and nothing more: our confirmation is off, since the plain sweep has none. So both train the same
number of networks. Both train them by Adam instead of the quick start's LAMB, which torch does not
have: torch's own fused Adam is the fastest for the plain sweep, and what the same optimiser finds
can be compared.

- *full length* and *short trials*: networks trained an hour, from the command to the end of the
  last one; early stopping is off. What lies between the first training's start and that end is told
  too, and so is the end of the command, which for us has a verdict, a report and figures to make.
- *early stopping*: seconds to the same best value. The value is the most monosemantic neurons per
  feature among the plain sweep's trials of full length whose loss is within 2% of its baseline's.
  Its time is that from the command to the end of its last trial, before which nobody knows that
  the value is its best; beside it, told as ``found_s``, the moment when it was there. Ours is the
  time from the command until a trial is in the ledger that is within the margin of its own
  baseline and at least as good, in a sweep with early stopping on and so many trials that it gets
  there: the median over several seeds of the search. A seed that does not get there counts as
  endless.
"""

import argparse
import json
import math
import os
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "integration"))

from machine_limit import Sizes
from plain_sweep import MARGIN, Settings
from shell import Shell

from search_spaces import Int
from service.ledger import Ledger
from service.machine import has_bfloat16_products, versions
from service.objective import objective_of
from service.spec import Spec, parse_spec
from service.trials import Trial

OUTPUT = Path("build/bench/sweep.json")
CORES = 2
NUM_SEEDS = 4
QUICK_START = Sizes(256, 32, 512, 256)
# At least so many times as many trials an hour, and so many times as fast to the same value.
WANTED = {"full length": 3.0, "short trials": 6.0, "early stopping": 10.0}
SPEC = """\
name: {name}
task: {{kind: feature_decoder, num_features: {num_features}, num_inputs: {num_inputs},
        feature_density: 0.015625}}
model: {{num_neurons: {num_neurons}}}
training: {{num_steps: {num_steps}, batch_size: {batch_size}, learning_rate: 0.01, optimizer: adam}}
search_space: bias_and_width
baseline: {{num_seeds: {num_seeds}}}
objective: {{maximize: monosemantic_per_feature, loss_margin: 0.02}}
search: {{num_trials: {num_trials}, seed: {seed}}}
early_stopping: {early_stopping}
confirmation: null
"""


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        sizes: The task's, the baseline's network and the batch; the quick start's.
        num_steps: Steps of a training of full length.
        num_trials: Trials of the search at full length.
        short_steps: Steps of a short training.
        num_short_trials: Trials of the search then.
        num_stopped_trials: Trials of our search with early stopping at most.
        seeds: Of our searches with early stopping.
        rounds: How often short trials are swept by both.
    """

    sizes: Sizes = QUICK_START
    num_steps: int = 8192
    num_trials: int = 20
    short_steps: int = 1024
    num_short_trials: int = 60
    num_stopped_trials: int = 64
    seeds: tuple[int, ...] = (0, 1, 2)
    rounds: int = 1


QUICK = Plan(num_steps=4096, num_trials=4, num_short_trials=8, num_stopped_trials=16, seeds=(0,))


@dataclass(frozen=True)
class Ended:
    """A network's training, as it was kept.

    Attributes:
        began_s: When, in seconds from the command. Of ours that of its cohort.
        ended_s: When its result was kept.
        value: Monosemantic neurons per feature, of a trial of the search that may be best.
    """

    began_s: float
    ended_s: float
    value: float | None = None


@dataclass(frozen=True)
class Swept:
    """A whole sweep.

    Attributes:
        trials: Its trainings.
        command_s: Seconds from the command to its end.
        num_workers: Processes that trained; each begins by reading torch.
    """

    trials: tuple[Ended, ...]
    command_s: float
    num_workers: int = 1

    @property
    def last_s(self) -> float:
        """When the last training had ended."""
        return max(one.ended_s for one in self.trials)

    @property
    def first_s(self) -> float:
        """When the first one began."""
        return min(one.began_s for one in self.trials)

    @property
    def an_hour(self) -> float:
        """Trainings an hour, from the command to the end of the last one."""
        return 3600.0 * len(self.trials) / self.last_s

    @property
    def best(self) -> float | None:
        """The best value of the search that is within the margin."""
        return max((one.value for one in self.trials if one.value is not None), default=None)

    def reached_s(self, value: float) -> float:
        """When it was as good as this; infinity if never."""
        good = (one.ended_s for one in self.trials if one.value is not None and one.value >= value)
        return min(good, default=math.inf)

    def as_json(self) -> dict[str, Any]:
        """What is written of it."""
        return {
            "num_trials": len(self.trials),
            "num_workers": self.num_workers,
            "trials_per_hour": self.an_hour,
            "trials_per_hour_of_search_alone": 3600.0
            * len(self.trials)
            / (self.last_s - self.first_s),
            "first_s": self.first_s,
            "last_s": self.last_s,
            "command_s": self.command_s,
            "best": self.best,
        }


def sweep_spec(
    sizes: Sizes,
    num_steps: int,
    num_trials: int,
    *,
    num_seeds: int = NUM_SEEDS,
    seed: int = 0,
    early_stopping: str = "null",
) -> Spec:
    """The sweep file; ``early_stopping`` as it is written there."""
    text = SPEC.format(
        name="bench",
        **vars(sizes),
        num_steps=num_steps,
        num_trials=num_trials,
        num_seeds=num_seeds,
        seed=seed,
        early_stopping=early_stopping,
    )
    return parse_spec(text, origin="bench_sweep.py")


def plain_settings(spec: Spec) -> Settings:
    """The same for the plain sweep: its space is the one that the sweep file stands for."""

    def bounds(name: str) -> tuple[float, float]:
        low, high = spec.space.bounds(name, 0.0)
        return float(low), float(high)

    low, high = bounds("num_neurons")
    width = spec.space["num_neurons"]
    assert isinstance(width, Int)
    task, training = spec.task, spec.training
    return Settings(
        sizes=(task.num_features, task.num_inputs, spec.model.num_neurons, training.batch_size),
        num_steps=training.num_steps,
        num_trials=spec.search.num_trials,
        num_seeds=spec.baseline.num_seeds,
        bias=bounds("initial_bias"),
        decay=bounds("bias_decay"),
        width=(int(low), int(high), width.step),
        half=has_bfloat16_products(),
    )


def ours(spec: Spec) -> Swept:
    """Run the sweep by the command, in a home of its own."""
    with TemporaryDirectory(prefix="monosweep-bench-") as folder:
        file = Path(folder) / "sweep.yaml"
        file.write_text(spec.text)
        shell = Shell(Path(folder) / "home", {"MONOSWEEP_SHOWCASE": "on"})
        began = time.time()
        shell.run("run", str(file), seconds=3600.0)
        command_s = time.time() - began
        with closing(Ledger(f"sqlite:///{shell.home / 'ledger.db'}", create=False)) as ledger:
            trials = ledger.trials(spec.name)
            attempts = {one.cohort_id: one for one in ledger.attempts(spec.name)}
    kept = [(one, attempts[one.cohort_id]) for one in trials if one.same_as is None]
    return Swept(
        tuple(
            Ended(at.started_at - began, (at.ended_at or math.inf) - began, _value(spec, one))
            for one, at in kept
        ),
        command_s,
        len({at.worker for _, at in kept}),
    )


def _value(spec: Spec, trial: Trial) -> float | None:
    objective, result = objective_of(spec), trial.result
    if trial.phase != "search" or result is None or result.state != "complete":
        return None
    if not objective.is_feasible(result, trial.settings):
        return None
    (value,) = objective.values(result, trial.settings) or (None,)
    return value


def plain(spec: Spec) -> Swept:
    """Run the plain sweep by its command, in a folder of its own; read what its MLflow says."""
    with TemporaryDirectory(prefix="monosweep-bench-") as name:
        folder = Path(name)
        program = str(Path(__file__).with_name("plain_sweep.py"))
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MLFLOW_", "RAY_"))
        }
        began = time.time()
        with (folder / "said").open("w") as said:
            subprocess.run(
                [sys.executable, program, name, plain_settings(spec).as_json()],
                cwd=name,
                env=kept,
                stdout=said,
                stderr=subprocess.STDOUT,
                check=True,
            )
        command_s = time.time() - began
        with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
            runs = _runs(connection)
    losses = [one["loss"] for one in runs if one["phase"] == "baseline"]
    ceiling = (1.0 + MARGIN) * statistics.mean(losses)
    return Swept(
        tuple(
            Ended(
                one["began"] - began,
                one["ended"] - began,
                one["monosemantic_per_feature"]
                if one["phase"] == "search" and one["loss"] <= ceiling
                else None,
            )
            for one in runs
        ),
        command_s,
        len(runs),
    )


def _runs(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """Phase, beginning, end and last metrics of each run."""
    query = """
        SELECT runs.run_uuid, experiments.name, runs.start_time, runs.end_time FROM runs
        JOIN experiments USING (experiment_id)
    """
    metrics = "SELECT key, value FROM latest_metrics WHERE run_uuid = ?"
    return [
        {
            **dict(connection.execute(metrics, (run_id,)).fetchall()),
            "phase": phase,
            "began": began / 1e3,
            "ended": ended / 1e3,
        }
        for run_id, phase, began, ended in connection.execute(query).fetchall()
    ]


def trials_an_hour(case: str, specs: Sequence[Spec]) -> tuple[dict[str, Any], list[Swept]]:
    """A case's row, and the plain sweeps; a pair of sweeps for each of the specs, taking turns."""
    found: list[tuple[Swept, Swept]] = []
    for number, spec in enumerate(specs):
        # Whoever comes second finds the libraries' files read already.
        if number % 2:
            other = plain(spec)
            found.append((ours(spec), other))
        else:
            found.append((ours(spec), plain(spec)))
    mine_s, other_s = (
        statistics.median(one.last_s / len(one.trials) for one in side)
        for side in zip(*found, strict=True)
    )
    row = {
        "case": case,
        "ours": mine_s,
        "other": other_s,
        "ratio": other_s / mine_s,
        "unit": "s a trial",
        "each": [{"ours": mine.as_json(), "other": other.as_json()} for mine, other in found],
    }
    return row, [other for _, other in found]


def to_the_same_value(case: str, specs: Sequence[Spec], other: Swept) -> dict[str, Any]:
    """The row of our sweeps with early stopping, against a plain sweep that has ended."""
    value = other.best
    found = [ours(spec) for spec in specs]
    reached = [math.inf if value is None else one.reached_s(value) for one in found]
    mine_s = statistics.median(reached)
    return {
        "case": case,
        "ours": mine_s if math.isfinite(mine_s) else None,
        "other": other.last_s,
        "ratio": other.last_s / mine_s if math.isfinite(mine_s) else None,
        "unit": "s",
        "value": value,
        "found_s": None if value is None else other.reached_s(value),
        "each": [
            {**one.as_json(), "reached_s": at if math.isfinite(at) else None}
            for one, at in zip(found, reached, strict=True)
        ],
    }


def measure(plan: Plan) -> dict[str, Any]:
    """The whole benchmark, as it is written."""
    full = sweep_spec(plan.sizes, plan.num_steps, plan.num_trials)
    short = sweep_spec(plan.sizes, plan.short_steps, plan.num_short_trials)
    short_row, _ = trials_an_hour("short trials", [short] * plan.rounds)
    full_row, (other,) = trials_an_hour("full length", [full])
    stopped = [
        sweep_spec(
            plan.sizes, plan.num_steps, plan.num_stopped_trials, seed=seed, early_stopping="{}"
        )
        for seed in plan.seeds
    ]
    return {
        "machine": {"processor": versions()["processor"], "cores": CORES},
        "versions": {name: version(name) for name in ("torch", "ray", "optuna", "mlflow")},
        "rows": [full_row, short_row, to_the_same_value("early stopping", stopped, other)],
        "limit": WANTED,
        "memory": None,
        "breakdown": None,
    }


def show(found: Mapping[str, Any]) -> None:
    """The table."""
    print(f"{'case':16} {'ours':>12} {'plain':>12} {'ratio':>7}  to be")
    for row in found["rows"]:
        wanted = found["limit"][row["case"]]
        if row["unit"] == "s":
            mine, other = (_seconds(row[side]) for side in ("ours", "other"))
        else:
            mine, other = (f"{3600.0 / row[side]:.0f} an hour" for side in ("ours", "other"))
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.1f}"
        print(f"{row['case']:16} {mine:>12} {other:>12} {ratio:>7}  {wanted:g}")
        for one in row["each"]:
            for side, swept in one.items() if "other" in one else [("ours", one)]:
                print(
                    f"  {side:6} {swept['num_trials']} trainings in {swept['num_workers']} processes, the first from "
                    f"{swept['first_s']:.1f} s on, the last until {swept['last_s']:.1f} s, "
                    f"command {swept['command_s']:.1f} s, best {swept['best']}"
                )
        if "found_s" in row:
            print(f"  to {row['value']}, which the plain sweep had at {_seconds(row['found_s'])}")


def _seconds(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.0f} s"


def main() -> None:
    """Measure, print, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few trials, for trying")
    parser.add_argument("--trials", type=int, help="of the search at full length")
    parser.add_argument("--short-trials", type=int, help="of the search of short trials")
    options = parser.parse_args()
    plan = QUICK if options.quick else Plan()
    plan = replace(
        plan,
        num_trials=options.trials or plan.num_trials,
        num_short_trials=options.short_trials or plan.num_short_trials,
    )
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    found = measure(plan)
    show(found)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
