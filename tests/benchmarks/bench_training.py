"""How fast a cohort trains beside a plain PyTorch loop and the machine's limit of whole products.

Run by ``make bench-training``; prints a table and writes ``build/bench/training.json``.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from machine_limit import Sizes, fastest, limit, precisions
from plain_loop import plain_loop
from results import whole, write

from service.spec.parts import ComputeSpec
from trainers import (
    CohortState,
    Member,
    Task,
    TrainingSettings,
    advance,
    begin,
    peak_bytes,
    to_bytes,
)

CASES = (Sizes(256, 32, 512, 256), Sizes(512, 64, 1024, 256), Sizes(512, 64, 1024, 2048))
DENSITY = 1 / 64
COHORT = 16
# Half of a network's neurons are active at first, and some tenths of them soon: then passes through
# those alone are as fast as they will be.
TRAINED_STEPS = 256
# Between two powers of two, so that no evaluation comes between.
FIRST_STEP = 2**16 + 2**10
OUTPUT = Path("build/bench/training.json")


def cohort(sizes: Sizes, precision: str, num_members: int) -> CohortState:
    """A cohort at the beginning of a chunk of its data stream, with no evaluation soon."""
    state = begin(
        Task(
            kind="feature_decoder",
            num_features=sizes.num_features,
            num_inputs=sizes.num_inputs,
            feature_density=DENSITY,
        ),
        TrainingSettings(num_steps=2**17, batch_size=sizes.batch_size, precision=precision),
        [Member(seed=0, num_neurons=sizes.num_neurons, learning_rate=0.01)] * num_members,
    )
    state.step = FIRST_STEP // state.chunk_steps * state.chunk_steps
    return state


def trained(sizes: Sizes, precision: str, num_members: int) -> CohortState:
    """A cohort with the worst of its beginning behind it, again at the beginning of a chunk."""
    state = cohort(sizes, precision, num_members)
    return advance(state, whole_chunks(state, TRAINED_STEPS))


def whole_chunks(state: CohortState, steps: int) -> int:
    """So many steps, or more to the end of a chunk: a part of one takes the drawing of all of it.

    Args:
        state: Which is at the beginning of a chunk.
        steps: How many at least.
    """
    return -(-steps // state.chunk_steps) * state.chunk_steps


def interleaved(works: Sequence[Callable[[int], object]], steps: int, rounds: int) -> list[float]:
    """Median seconds for a step of each, taking turns so that noise meets all of them."""
    times: list[list[float]] = [[] for _ in works]
    for turn in range(rounds + 1):
        for work, found in zip(works, times, strict=True):
            began = time.perf_counter()
            work(steps)
            if turn:  # the first turn warms up
                found.append((time.perf_counter() - began) / steps)
    return [statistics.median(found) for found in times]


def plain_steps(sizes: Sizes) -> Callable[[int], None]:
    """Trains a plain loop's model so many steps when called."""
    plain = plain_loop(sizes, DENSITY)

    def run(count: int) -> None:
        for _ in range(count):
            next(plain)

    return run


def compare(sizes: Sizes, steps: int, rounds: int) -> list[dict[str, Any]]:
    """Rows of one size: ours in each precision of this machine against the plain loop."""
    states = [trained(sizes, precision, 1) for precision in precisions()]
    *ours, plain_s = interleaved(
        [*(partial(advance, state) for state in states), plain_steps(sizes)],
        whole_chunks(states[0], steps),
        rounds,
    )
    return [
        {
            "case": f"{sizes} {precision}",
            "ours": step_s,
            "other": plain_s,
            "ratio": plain_s / step_s,
            "unit": "s",
        }
        for precision, step_s in zip(precisions(), ours, strict=True)
    ]


def company(sizes: Sizes, steps: int, rounds: int) -> tuple[dict[str, Any], dict[str, float]]:
    """A row for one trial's step in a cohort of 16, beside one alone and the plain loop."""
    one, many = (trained(sizes, precisions()[0], size) for size in (1, COHORT))
    one_s, many_s, plain_s = interleaved(
        [partial(advance, one), partial(advance, many), plain_steps(sizes)],
        whole_chunks(one, steps),
        rounds,
    )
    ours = many_s / COHORT
    row = {"ours": ours, "other": plain_s, "ratio": plain_s / ours, "unit": "s"}
    return {"case": f"{sizes} cohort of {COHORT}", **row}, {
        "one_s": one_s,
        "sixteen_s": ours,
        "ratio": one_s / ours,
    }


def breakdown(sizes: Sizes, steps: int) -> dict[str, float]:
    """Seconds a step in each torch operation; passes through active neurons are none."""
    state = trained(sizes, precisions()[0], 1)
    steps = whole_chunks(state, steps)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        advance(state, steps)
    spent = {one.key: one.self_cpu_time_total / steps / 1e6 for one in profile.key_averages()}
    return dict(sorted(spent.items(), key=lambda item: -item[1])[:12])


def memory(sizes: Sizes) -> dict[str, float]:
    """Peak resident memory of a process that trains a cohort of 16: predicted and measured."""
    state = cohort(sizes, precisions()[0], COHORT)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import torch; torch.set_num_threads(1)\n"
        "from bench_training import COHORT, Sizes, advance, cohort, precisions\n"
        "from peak_memory import peak_bytes\n"
        "advance(cohort(Sizes(*map(int, sys.argv[2:])), precisions()[0], COHORT), 32)\n"
        "print(peak_bytes())"
    )
    numbers = [sizes.num_features, sizes.num_inputs, sizes.num_neurons, sizes.batch_size]
    arguments = [sys.executable, "-c", code, str(Path(__file__).parent), *map(str, numbers)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    predicted, measured = peak_bytes(state.task, state.settings, state.members), int(done.stdout)
    return {"predicted": predicted, "measured": measured, "ratio": predicted / measured}


def checkpoint(sizes: Sizes) -> dict[str, float]:
    """How long training stands still for a cohort of 16's checkpoint; it is written meanwhile."""
    state = advance(cohort(sizes, precisions()[0], COHORT), 1)
    size = len(to_bytes(state))
    stall_s = fastest(lambda: to_bytes(state), 0.5)
    return {"bytes": size, "stall_s": stall_s, "share": stall_s / ComputeSpec().checkpoint_s}


def measure(cases: Sequence[Sizes], steps: int, rounds: int, seconds: float) -> dict[str, Any]:
    """The whole benchmark, as it is written."""
    rows = [row for sizes in cases for row in compare(sizes, steps, rounds)]
    row, cohorts = company(cases[0], steps, rounds)
    rows.append(row)
    ours = {row["case"]: row["ours"] for row in rows}
    limits = {f"{sizes}": limit(sizes, seconds) for sizes in cases}
    for case, found in limits.items():
        found["ours_over_limit"] = ours[f"{case} {precisions()[0]}"] / found["limit_s"]
    return whole(
        rows,
        ("torch", "numpy", "torch-optimizer"),
        machine={"threads": 1},
        limit=limits,
        memory=memory(cases[0]),
        breakdown={f"{sizes}": breakdown(sizes, steps) for sizes in cases},
        cohort=cohorts,
        checkpoint=checkpoint(cases[-1]),
    )


def main() -> None:
    """Measure, print a table, write the file."""
    torch.set_num_threads(1)
    found = measure(CASES, steps=32, rounds=5, seconds=1.0)
    print(f"{'case':28} {'ours ms':>9} {'other ms':>9} {'ratio':>6}")
    for row in found["rows"]:
        ours, other = row["ours"] * 1e3, row["other"] * 1e3
        print(f"{row['case']:28} {ours:9.3f} {other:9.3f} {row['ratio']:6.2f}")
    for case, one in found["limit"].items():
        print(f"{case}: {one['ours_over_limit']:.2f} times the limit of whole products")
    print(f"cohort of 16 against one: {found['cohort']['ratio']:.2f} times as fast a trial")
    stall = found["checkpoint"]
    print(
        f"a checkpoint of 16 at {CASES[-1]} stops training for {stall['stall_s']:.3f} s, "
        f"{stall['share']:.2%} of the time between two"
    )
    print(f"peak memory, predicted over measured: {found['memory']['ratio']:.2f}")
    write(OUTPUT, found)


if __name__ == "__main__":
    main()
