"""Whole sweeps beside the one that a user would write from the libraries' own pages.

Run by ``make bench-sweep``; prints a table and writes ``build/bench/sweep.json``. Both programs
sweep the quick start's task, network and space on two cores, from a command in an empty folder, one
right after the other: ``monosweep run`` on a sweep file, and ``plain_sweep.py``. Both train a
baseline on as many seeds and then as many trials of the search, each to the same number of steps,
and nothing more: our confirmation is off, since the plain sweep has none. So both train the same
number of networks. Both train them by Adam instead of the quick start's LAMB, which torch does not
have: what the same optimiser finds can be compared.

The plain sweep is the one that the pages lead to, with their defaults. ``--tuned`` takes another
one: the fastest that we know how to write with these libraries, which gives less (no curves). What
was asked for is asked of the first.

Everything is swept in rounds, each with another seed of both searches; ours comes first in one
round and second in the next. A row's figures are medians over the rounds, its ratio the median of
the rounds' own ratios; each of them is told, with the range. A training of ours has ended when its
result is in the ledger, one of the plain sweep when its run in MLflow has ended; ours comes to
MLflow later. What either program does after its last training is not counted; the time of the whole
command is told beside (``command_s``), which for us has a verdict, a report and figures to make.

- *full length* and *short trials*: networks trained an hour, from the command to the end of the
  last one; early stopping is off. What lies between the first training's start and that end is told
  too.
- *early stopping*: seconds to the same best value. The value is the most monosemantic neurons per
  feature among the plain sweep's trials of full length whose loss is within 2% of its baseline's on
  the same seed. The plain sweep's time is that from the command to the end of the trial that was
  the first to have it (``found_s``). Ours is the time from the command until a trial is in the
  ledger that is within the margin of its own baseline and at least as good, in a sweep with early
  stopping on and so many trials that it gets there (``reached_s``), of the same round. A sweep that
  does not get there counts as endless.
- *early stopping, whole*: the same, but the plain sweep's time is that to the end of its last trial
  (``last_s``): before it nobody who runs it knows that the value is its best. The same holds for
  us, so nothing is asked of this row: it tells how much sooner the value is there than a whole
  plain sweep ends.
"""

import argparse
import math
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from machine_limit import Sizes
from results import whole, write
from whole_sweeps import Swept, ours, plain, sweep_spec

from service.spec import Spec

OUTPUT = Path("build/bench/sweep.json")
OUTPUT_TUNED = OUTPUT.with_stem("sweep-tuned")
CORES = 2
QUICK_START = Sizes(256, 32, 512, 256)
CASES = ("short", "full", "stopped")
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
        rounds: How often both sweep, with the seeds from 0 on.
        cases: Those of `CASES` that are measured; ``stopped`` needs ``full``.
        tuned: Whether the plain sweep is the one that is tuned for speed.
    """

    sizes: Sizes = QUICK_START
    num_steps: int = 8192
    num_trials: int = 20
    short_steps: int = 1024
    num_short_trials: int = 60
    num_stopped_trials: int = 64
    rounds: int = 2
    cases: tuple[str, ...] = CASES
    tuned: bool = False


QUICK = Plan(num_steps=2048, num_trials=4, num_short_trials=8, num_stopped_trials=16, rounds=1)


def row(
    case: str, unit: str, pairs: Sequence[tuple[float, float]], each: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """A case's row.

    Args:
        case: Its name.
        unit: Of the figures.
        pairs: Our figure and the plain sweep's of each round; infinite where it has none.
        each: What else is told of each round.
    """
    figures = {
        "ours": [mine for mine, _ in pairs],
        "other": [other for _, other in pairs],
        # What never ends is no times as fast, whatever it is beside.
        "ratio": [0.0 if math.isinf(mine) else other / mine for mine, other in pairs],
    }
    return {
        "case": case,
        **{name: _finite(statistics.median(values)) for name, values in figures.items()},
        "unit": unit,
        "range": {
            name: [_finite(min(values)), _finite(max(values))] for name, values in figures.items()
        },
        "each": [
            {**one, "ratio": _finite(ratio)}
            for one, ratio in zip(each, figures["ratio"], strict=True)
        ],
    }


def _finite(figure: float) -> float | None:
    """For JSON, which has no infinity."""
    return figure if math.isfinite(figure) else None


def trials_an_hour(
    case: str, specs: Sequence[Spec], other: Callable[[Spec], Swept]
) -> tuple[dict[str, Any], list[Swept]]:
    """A case's row, and the plain sweeps; a pair of sweeps for each of the specs, taking turns."""
    found: list[tuple[Swept, Swept]] = []
    for number, spec in enumerate(specs):
        # Whoever comes second finds the libraries' files read already.
        if number % 2:
            swept = other(spec)
            found.append((ours(spec), swept))
        else:
            found.append((ours(spec), other(spec)))
    pairs = [(mine.trial_s, swept.trial_s) for mine, swept in found]
    each = [{"ours": mine.as_json(), "other": swept.as_json()} for mine, swept in found]
    return row(case, "s a trial", pairs, each), [swept for _, swept in found]


def to_the_same_value(specs: Sequence[Spec], others: Sequence[Swept]) -> list[dict[str, Any]]:
    """The rows of our sweeps with early stopping, each against the plain sweep of its round."""
    until_found, until_ended, each = [], [], []
    for spec, other in zip(specs, others, strict=True):
        mine, value = ours(spec), other.best
        reached_s = math.inf if value is None else mine.reached_s(value)
        found_s = math.inf if value is None else other.reached_s(value)
        until_found.append((reached_s, found_s))
        until_ended.append((reached_s, other.last_s))
        times = {"reached_s": _finite(reached_s), "found_s": _finite(found_s)}
        each.append({"ours": mine.as_json(), "value": value, "last_s": other.last_s, **times})
    return [
        row("early stopping", "s", until_found, each),
        row("early stopping, whole", "s", until_ended, [{} for _ in each]),
    ]


def measure(plan: Plan) -> dict[str, Any]:
    """The whole benchmark, as it is written."""

    def specs(num_steps: int, num_trials: int, early_stopping: str = "null") -> list[Spec]:
        sizes = plan.sizes
        return [
            sweep_spec(sizes, num_steps, num_trials, seed=seed, early_stopping=early_stopping)
            for seed in range(plan.rounds)
        ]

    other = partial(plain, tuned=plan.tuned)
    rows = []
    if "short" in plan.cases:
        short = specs(plan.short_steps, plan.num_short_trials)
        short_row, _ = trials_an_hour("short trials", short, other)
        rows.append(short_row)
    if "full" in plan.cases:
        full = specs(plan.num_steps, plan.num_trials)
        full_row, others = trials_an_hour("full length", full, other)
        rows.insert(0, full_row)
        if "stopped" in plan.cases:
            stopped = specs(plan.num_steps, plan.num_stopped_trials, early_stopping="{}")
            rows += to_the_same_value(stopped, others)
    return whole(
        rows,
        ("torch", "ray", "optuna", "mlflow"),
        machine={"cores": CORES},
        limit={} if plan.tuned else WANTED,
        tuned=plan.tuned,
    )


def show(found: Mapping[str, Any]) -> None:
    """The table, and what each round gave."""
    print(f"{'case':22} {'ours':>12} {'plain':>12} {'ratio':>7}  to be")
    for one in found["rows"]:
        said = _seconds if one["unit"] == "s" else _an_hour
        mine, other, wanted = said(one["ours"]), said(one["other"]), found["limit"].get(one["case"])
        print(
            f"{one['case']:22} {mine:>12} {other:>12} {_times(one['ratio']):>7}  "
            f"{'' if wanted is None else format(wanted, 'g')}".rstrip()
        )
        for number, each in enumerate(one["each"]):
            print(f"  round {number}: {_times(each['ratio'])} times")
            for side in ("ours", "other"):
                if side in each:
                    _show_sweep(side, each[side])
            if "value" in each:
                print(
                    f"    to {each['value']}: ours at {_seconds(each['reached_s'])}, the plain "
                    f"sweep at {_seconds(each['found_s'])}, at its end {_seconds(each['last_s'])}"
                )


def _show_sweep(side: str, swept: Mapping[str, Any]) -> None:
    print(
        f"    {side:6} {swept['num_trials']} trainings in {swept['num_workers']} "
        f"processes, from {swept['first_s']:.1f} s to {swept['last_s']:.1f} s, "
        f"command {swept['command_s']:.1f} s, best {swept['best']}"
    )


def _seconds(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.0f} s"


def _an_hour(seconds: float) -> str:
    return f"{3600.0 / seconds:.0f} an hour"


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.1f}"


def main() -> None:
    """Measure, print, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few trials, for trying")
    parser.add_argument("--trials", type=int, help="of the search at full length")
    parser.add_argument("--short-trials", type=int, help="of the search of short trials")
    parser.add_argument("--rounds", type=int, help="how often both sweep, each with another seed")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, help="only those")
    parser.add_argument("--tuned", action="store_true", help="the plain sweep, for speed")
    options = parser.parse_args()
    if "stopped" in options.cases and "full" not in options.cases:
        parser.error("stopped is measured beside full, which must be among the cases")
    plan = QUICK if options.quick else Plan()
    plan = replace(
        plan,
        num_trials=options.trials or plan.num_trials,
        num_short_trials=options.short_trials or plan.num_short_trials,
        rounds=options.rounds or plan.rounds,
        cases=tuple(options.cases),
        tuned=options.tuned,
    )
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    found = measure(plan)
    show(found)
    write(OUTPUT_TUNED if plan.tuned else OUTPUT, found)


if __name__ == "__main__":
    main()
