"""How many training steps a search takes until it has found a good setting, replayed many times.

Run by ``make bench-search``; prints a table and writes ``build/bench/search.json``. The trainings
are real ones of ``data/recording.parquet``; see ``record.py``. Compared are the defaults of a sweep
file with random search and with Optuna's own default sampler, both without early stopping and asked
for one trial at a time; what early stopping alone gives is in the table too. A good setting is a
feasible one within 5% of the best that is recorded.
"""

import argparse
import math
import os
import statistics
import sys
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import optuna
from recording import BASELINE, Recording, recording
from replay import (
    Method,
    Moment,
    optunas,
    replay,
    sampler,
    steps_until_found,
    winner_is_lost,
    worth_of_finalists,
)
from results import write

from service.machine import versions
from service.spec import MIN_STOPPED_COHORT

OUTPUT = Path("build/bench/search.json")
NUM_REPLAYS = 50
# What is asked of early stopping: whether it lets the winner of so many trials go.
NUM_TRIALS = 24

# Whole trainings that a search may cost where it is asked whether racing pays: some 24 trials. The
# best so many of them are trained on a second seed, before two become finalists.
BUDGET, NUM_RACED = 12, (0, 2, 4)

DEFAULT = "defaults"
RANDOM, OPTUNAS = "random, all to the end", "Optuna's default, all to the end"
METHODS: Mapping[str, Method] = {
    DEFAULT: Method(propose=sampler("gp"), cohort_size=MIN_STOPPED_COHORT, stops=True),
    "gp, all to the end": Method(propose=sampler("gp")),
    "tpe, stopped early": Method(
        propose=sampler("tpe"), cohort_size=MIN_STOPPED_COHORT, stops=True
    ),
    "random, stopped early": Method(
        propose=sampler("random"), cohort_size=MIN_STOPPED_COHORT, stops=True
    ),
    OPTUNAS: Method(propose=optunas(lambda seed: optuna.samplers.TPESampler(seed=seed))),
    RANDOM: Method(propose=optunas(lambda seed: optuna.samplers.RandomSampler(seed=seed))),
}


@dataclass(frozen=True)
class Replayed:
    """What one replay showed.

    Attributes:
        num_steps: Training steps until a good setting was found.
        lost: Whether early stopping lost the winner; asked of the defaults alone.
        worth: What the better of two finalists is worth, by the number of trials that are raced;
            asked of the defaults alone.
    """

    num_steps: float
    lost: bool = False
    worth: Mapping[int, float] = field(default_factory=dict)


def replayed(name: str, seed: int) -> Replayed:
    """One replay of a method; in a process of its own, which reads the recording once."""
    recorded, moments = _recorded(), list[Moment]()
    budget = BUDGET * recorded.spec.training.num_steps
    if name != DEFAULT:
        return Replayed(steps_until_found(recorded, replay(recorded, METHODS[name], seed)))
    for moment in replay(recorded, METHODS[name], seed):
        moments.append(moment)
        is_found = math.isfinite(steps_until_found(recorded, [moment]))
        if is_found and moment.num_steps >= budget:
            break
    return Replayed(
        num_steps=steps_until_found(recorded, moments),
        lost=winner_is_lost(recorded, moments, NUM_TRIALS),
        worth={
            num: worth_of_finalists(recorded, moments, seed, num_steps=budget, num_raced=num)
            for num in NUM_RACED
        },
    )


def _recorded() -> Recording:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    if not _read:
        _read.append(recording())
    return _read[0]


_read: list[Recording] = []


def measure(names: Sequence[str], num_replays: int, workers: int) -> dict[str, Any]:
    """The whole benchmark, as it is written.

    Args:
        names: Methods, the defaults among them.
        num_replays: Of each method.
        workers: Processes.
    """
    recorded = _recorded()
    done: dict[str, list[Replayed]] = {}
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for name in names:
            done[name] = list(pool.map(partial(replayed, name), range(num_replays)))
            print(f"{name}: done", file=sys.stderr, flush=True)
    steps = {name: [one.num_steps for one in found] for name, found in done.items()}
    medians = {name: statistics.median(found) for name, found in steps.items()}
    ours = done[DEFAULT]
    raced = {num: statistics.fmean(one.worth[num] for one in ours) for num in NUM_RACED}
    return {
        "machine": {"cores": os.cpu_count(), "workers": workers},
        "versions": versions(),
        "recorded": {
            "settings": len(recorded.numbers),
            "best": max(recorded.worth.values()),
            "baseline": [
                vars(points[-1][1])
                for (number, _), points in recorded.curves.items()
                if number == BASELINE
            ],
        },
        "num_replays": num_replays,
        "rows": [
            {
                "case": f"beside {other}",
                "ours": medians[DEFAULT],
                "other": medians[other],
                "ratio": medians[other] / medians[DEFAULT],
                "unit": "training steps",
            }
            for other in (OPTUNAS, RANDOM)
            if other in medians
        ],
        "steps": {
            name: {"median": medians[name], "quartiles": _quartiles(found), "never": _never(found)}
            for name, found in steps.items()
        },
        "racing": {"budget": BUDGET, "worth": raced},
        "winner_lost": {
            "replays": num_replays,
            "lost": sum(one.lost for one in ours),
            "trials": NUM_TRIALS,
        },
    }


def _quartiles(found: Sequence[float]) -> list[float] | None:
    if _never(found) or len(found) < 2:
        return None
    low, _, high = statistics.quantiles(found, n=4)
    return [low, high]


def _never(found: Sequence[float]) -> int:
    return sum(math.isinf(one) for one in found)


def show(found: Mapping[str, Any], num_steps: int) -> None:
    """The table."""
    recorded = found["recorded"]
    print(
        f"{recorded['settings']} recorded settings, the best {recorded['best']:.3f}; median of "
        f"{found['num_replays']} replays"
    )
    print(f"{'until within 5% of the best':34} {'training steps':>15} {'whole trainings':>16}")
    for name, one in found["steps"].items():
        print(f"{name:34} {one['median']:15.0f} {one['median'] / num_steps:16.1f}")
    for row in found["rows"]:
        print(f"{row['case']}: {row['ratio']:.1f} times fewer")
    lost = found["winner_lost"]
    print(
        f"of {lost['replays']} searches of {lost['trials']} trials early stopping lost the winner, "
        f"by more than 5%, in {lost['lost']}"
    )

    racing = found["racing"]
    print(
        f"the better of two finalists after {racing['budget']} whole trainings, as a share of the "
        "best, where so many trials are raced on a second seed: "
        + ", ".join(f"{num}: {share:.3f}" for num, share in racing["worth"].items())
    )


def main() -> None:
    """Replay, print a table, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replays", type=int, default=NUM_REPLAYS, help="fewer for trying")
    options = parser.parse_args()
    workers = int(os.environ.get("WORKERS", str(len(os.sched_getaffinity(0)))))
    found = measure(list(METHODS), options.replays, workers)
    show(found, _recorded().spec.training.num_steps)
    write(OUTPUT, found)


if __name__ == "__main__":
    main()
