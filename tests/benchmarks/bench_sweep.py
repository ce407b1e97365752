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
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from machine_limit import Sizes
from whole_sweeps import Swept, ours, plain, sweep_spec

from service.machine import versions
from service.spec import Spec

OUTPUT = Path("build/bench/sweep.json")
CORES = 2
QUICK_START = Sizes(256, 32, 512, 256)
# At least so many times as many trials an hour, and so many times as fast to the same value.
WANTED = {"full length": 3.0, "short trials": 6.0, "early stopping": 10.0}


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
        half: Whether the plain sweep may multiply in bfloat16, as ours does.
    """

    sizes: Sizes = QUICK_START
    num_steps: int = 8192
    num_trials: int = 20
    short_steps: int = 1024
    num_short_trials: int = 60
    num_stopped_trials: int = 64
    seeds: tuple[int, ...] = (0, 1, 2)
    rounds: int = 1
    half: bool = True


QUICK = Plan(num_steps=2048, num_trials=4, num_short_trials=8, num_stopped_trials=16, seeds=(0,))


def trials_an_hour(
    case: str, specs: Sequence[Spec], *, half: bool
) -> tuple[dict[str, Any], list[Swept]]:
    """A case's row, and the plain sweeps; a pair of sweeps for each of the specs, taking turns."""
    found: list[tuple[Swept, Swept]] = []
    for number, spec in enumerate(specs):
        # Whoever comes second finds the libraries' files read already.
        if number % 2:
            other = plain(spec, half=half)
            found.append((ours(spec), other))
        else:
            found.append((ours(spec), plain(spec, half=half)))
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
    short_row, _ = trials_an_hour("short trials", [short] * plan.rounds, half=plan.half)
    full_row, (other,) = trials_an_hour("full length", [full], half=plan.half)
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
                    f"  {side:6} {swept['num_trials']} trainings in {swept['num_workers']} "
                    f"processes, from {swept['first_s']:.1f} s to {swept['last_s']:.1f} s, "
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
    parser.add_argument("--float32", action="store_true", help="the plain sweep's products")
    options = parser.parse_args()
    plan = QUICK if options.quick else Plan()
    plan = replace(
        plan,
        num_trials=options.trials or plan.num_trials,
        num_short_trials=options.short_trials or plan.num_short_trials,
        half=not options.float32,
    )
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    found = measure(plan)
    show(found)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
