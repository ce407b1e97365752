"""What it costs a sweep in a quiet run that nothing of it can be lost.

Run by ``make bench-durability``; prints a table and writes ``build/bench/durability.json``. Counted
are the checkpoints (the time that training stands still for them, and the processor's time of the
thread that writes them) and the driver's calls to the ledger, the lease's renewal and the removal
of checkpoints. Not counted is what any sweep pays to have results at all: the results' tables, runs
in MLflow, Ray, and the start of the processes.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path += [str(Path(__file__).parents[1] / name) for name in ("integration", "servers")]

import torch
from bench_training import CASES, cohort
from machine_limit import Sizes, precisions
from postgres import Postgres
from results import whole, write
from shell import Shell
from timed_sweep import DRIVER

from service.checkpoints import Checkpoints, CheckpointWriter
from service.outages import Outage
from service.spec.parts import ComputeSpec
from service.storage import Storage
from trainers import CohortState, advance

OUTPUT = Path("build/bench/durability.json")
COHORTS = (16, 4)
DEFAULT_S = float(ComputeSpec().checkpoint_s)
LIMIT = 0.03


class TimedCheckpoints(Checkpoints):
    """Adds up the processor's time of the thread that writes them."""

    cpu_s = 0.0
    num_written = 0

    def write(self, data: bytes, *, num_steps_done: int, attempt: int) -> None:
        began = time.thread_time()
        super().write(data, num_steps_done=num_steps_done, attempt=attempt)
        self.cpu_s += time.thread_time() - began
        self.num_written += 1


def train(state: CohortState, writer: CheckpointWriter | None, seconds: float) -> tuple[int, float]:
    """Train for so long as a worker does; the steps, and the seconds it stood still."""
    first, stood_s, until = state.step, 0.0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        advance(state, state.chunk_steps)
        if writer is not None and writer.is_due:
            began = time.perf_counter()
            writer.submit(state)
            stood_s += time.perf_counter() - began
    return state.step - first, stood_s


def checkpoints(
    sizes: Sizes, num_members: int, interval_s: float, rounds: int, round_s: float
) -> dict[str, float]:
    """What a cohort's checkpoints cost: by the clocks, and as training with and without them."""
    state = cohort(sizes, precisions()[0], num_members)
    with TemporaryDirectory(prefix="monosweep-bench-") as folder:
        kept = TimedCheckpoints(Storage(folder), "bench", "search-0")
        with closing(CheckpointWriter(kept, 1, interval_s, Outage())) as writer:
            step_s: dict[bool, list[float]] = {True: [], False: []}
            stood_s = 0.0
            train(state, None, round_s / 2)  # warms up
            for turn in range(2 * rounds):
                writes = turn % 2 == 0
                began = time.perf_counter()
                num_steps, stood = train(state, writer if writes else None, round_s)
                step_s[writes].append((time.perf_counter() - began) / num_steps)
                stood_s += stood
    each = {"stood_s": stood_s / kept.num_written, "thread_s": kept.cpu_s / kept.num_written}
    with_s, without_s = (statistics.median(step_s[writes]) for writes in (True, False))
    return {
        **each,
        "num_written": kept.num_written,
        "step_with_s": with_s,
        "step_without_s": without_s,
        "measured_share": (with_s / without_s - 1.0) * interval_s / DEFAULT_S,
        "share": sum(each.values()) / DEFAULT_S,
    }


def sweep(spec: str, ledger_url: str | None, home: Path) -> dict[str, Any]:
    """Where the driver of a whole sweep spent its time, in a process of its own."""
    ledger = {} if ledger_url is None else {"MONOSWEEP_LEDGER_URL": ledger_url}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("timed_sweep.py")), spec],
        # What MLflow is shown at the end, and here is not, comes after all that is measured.
        env=Shell(home, ledger).environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    by_thread: dict[str, float] = {}
    for call in found["calls"]:
        name = "driver" if call["thread"] == DRIVER else call["thread"]
        by_thread[name] = by_thread.get(name, 0.0) + call["s"]
    return {
        **found,
        "by_thread_s": by_thread,
        "num_calls": sum(call["num"] for call in found["calls"]),
        # As if all workers waited whenever any thread was at the ledger.
        "share": sum(by_thread.values()) / found["training_s"],
    }


def sweeps(spec: str) -> dict[str, Any]:
    """The sweep on either kind of database."""
    with TemporaryDirectory(prefix="monosweep-bench-") as name, closing(Postgres()) as postgres:
        postgres.start()
        return {
            kind: sweep(spec, url, Path(name) / kind)
            for kind, url in (("sqlite", None), ("postgresql", postgres.new_database()))
        }


def measure(
    sizes: Sizes, spec: str, interval_s: float, rounds: int, round_s: float
) -> dict[str, Any]:
    """The whole benchmark, as it is written."""
    cohorts = {
        f"{sizes} cohort of {size}": checkpoints(sizes, size, interval_s, rounds, round_s)
        for size in COHORTS
    }
    found = sweeps(spec)
    worst = max(max(one["share"], one["measured_share"]) for one in cohorts.values())
    return whole(
        [],
        ("torch", "sqlalchemy", "optuna", "ray"),
        machine={"threads": 1},
        limit=LIMIT,
        checkpoint_s=DEFAULT_S,
        checkpoints=cohorts,
        sweeps=found,
        shares={kind: worst + one["share"] for kind, one in found.items()},
    )


def show(found: Mapping[str, Any]) -> None:
    """The table."""
    print(f"{'checkpoints':28} {'stands still':>13} {'thread':>8} {'share':>7} {'measured':>9}")
    for name, one in found["checkpoints"].items():
        print(
            f"{name:28} {one['stood_s'] * 1e3:10.1f} ms {one['thread_s'] * 1e3:5.0f} ms "
            f"{one['share']:7.2%} {one['measured_share']:9.2%}"
        )
    print(f"{'ledger of a sweep':28} {'driver':>13} {'others':>8} {'share':>7} {'training':>9}")
    for name, one in found["sweeps"].items():
        driver_s = one["by_thread_s"]["driver"]
        others_s = sum(one["by_thread_s"].values()) - driver_s
        print(
            f"{name:28} {driver_s:11.2f} s {others_s:6.2f} s {one['share']:7.2%} "
            f"{one['training_s']:7.0f} s"
        )
    for name, share in found["shares"].items():
        print(f"all of it on {name}: {share:.2%} of wall time (to be below {found['limit']:.0%})")


def main() -> None:
    """Measure, print a table, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", default="quickstart", help="the sweep; another for trying")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(CASES[0], options.spec, interval_s=2.0, rounds=6, round_s=5.0)
    show(found)
    write(OUTPUT, found)


if __name__ == "__main__":
    main()
