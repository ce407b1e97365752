"""What more nodes bring: cohorts on one node and on two, and how many the driver can look after.

Run by ``make bench-nodes``; prints a table and writes ``build/bench/nodes.json``.

- A sweep on real Ray nodes of one processor each, bound to a core of its own, once on one node and
  once on two, taking turns. A node gets half of its core's time, as root by control groups: the
  other halves are for the driver and Ray's head, which with whole cores would have one for
  themselves beside one node and none beside two. Where that cannot be done, and it says so, nodes
  have whole cores. The sweep's proposals do not depend on what ended before, so that the cohorts
  are the same; counted is the search, before which all workers have been at work. Beside it the
  same training without Ray, on one core and on two at once: what the machine itself loses.
- Cohorts that end at once, with the real ledger, sampler and Ray Tune: what a cohort and a report
  of one cost the driver, and so at how many workers it is the limit.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path += [str(Path(__file__).parents[1] / name) for name in ("integration", "servers")]

from cpu_share import can_be_limited, share_of_a_core
from nodes import Nodes, ending
from noop_cohorts import Settings
from postgres import Postgres
from results import whole, write
from shell import Shell

from service.ledger import Ledger

OUTPUT = Path("build/bench/nodes.json")
WANTED = 0.95
SPEC = """\
name: nodes
task: {{kind: feature_decoder, num_features: 256, num_inputs: 32, feature_density: 0.015625}}
model: {{num_neurons: 512}}
training: {{num_steps: {num_steps}, batch_size: 256, learning_rate: 0.01, precision: auto}}
search_space: {{initial_bias: {{float: [-1.0, 0.0]}}}}
baseline: {{num_seeds: 2}}
objective: {{maximize: monosemantic_per_feature, loss_margin: 0.5}}
search: {{num_trials: {num_trials}, sampler: random}}
confirmation: {{finalists: 1, num_seeds: 2}}
compute: {{cohort_size: {cohort_size}}}
"""
COHORT = 4
# Seconds of a cohort for which the driver's limit is told, beside those that were measured.
SHORT_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured.

    Attributes:
        num_steps: Steps of each training.
        num_cohorts: Cohorts of the search, an even number.
        rounds: Sweeps on one node, and on two.
        share: Of a core's time, for each node.
        num_noops: Cohorts that end at once.
        workers: Cohorts at a time of these.
        databases: Kinds of ledger for these.
    """

    num_steps: int = 1024
    num_cohorts: int = 16
    rounds: int = 2
    share: float = field(default_factory=lambda: 0.5 if can_be_limited() else 1.0)
    num_noops: int = 200
    workers: int = 8
    databases: tuple[str, ...] = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Timed:
    """One sweep.

    Attributes:
        num_workers: Processes that trained in its search.
        start_up_s: Seconds from the command to the first cohort.
        search_s: Seconds from the search's first cohort, handed out, to its last one, kept.
    """

    num_workers: int
    start_up_s: float
    search_s: float


def sweep(sizes: Sizes, num_nodes: int, folder: Path) -> Timed:
    """Run the sweep on so many nodes of one core each."""
    spec = folder / "nodes.yaml"
    num_trials = sizes.num_cohorts * COHORT
    spec.write_text(
        SPEC.format(num_steps=sizes.num_steps, num_trials=num_trials, cohort_size=COHORT)
    )
    shell = Shell(folder / "home", {"MONOSWEEP_STORAGE": str(folder / "storage")})
    with ExitStack() as stack:
        nodes = Nodes(num_nodes)
        # Left last: by then all processes of the nodes are gone.
        limits = stack.enter_context(ExitStack())
        stack.enter_context(ending(nodes))
        nodes.bind(sorted(os.sched_getaffinity(0)))
        if sizes.share < 1.0:
            for pids in nodes.pids():
                limits.enter_context(share_of_a_core(pids, sizes.share))
        began = time.time()
        shell.run("run", str(spec), "--address", nodes.address, seconds=3600.0)
    with closing(Ledger(f"sqlite:///{shell.home / 'ledger.db'}", create=False)) as ledger:
        attempts = ledger.attempts("nodes")
    assert {one.number for one in attempts} == {1}, "a cohort died: what is measured is another"
    search = [one for one in attempts if one.cohort_id.startswith("search")]
    return Timed(
        num_workers=len({one.worker for one in search}),
        start_up_s=min(one.started_at for one in attempts) - began,
        search_s=max(one.ended_at or 0.0 for one in search) - min(one.started_at for one in search),
    )


def bare(sizes: Sizes, cores: Sequence[int]) -> float:
    """Seconds that a cohort's training takes without Ray, on each of these cores at once."""
    program = str(Path(__file__).with_name("bare_training.py"))
    words = [program, str(COHORT), str(sizes.num_steps // 4)]
    started = [
        subprocess.Popen([sys.executable, *words, str(core)], stdout=subprocess.PIPE, text=True)
        for core in cores
    ]
    return max(float(one.communicate()[0]) for one in started)


def efficiency(sizes: Sizes) -> dict[str, Any]:
    """Sweeps on one node and on two, and the machine's own loss, taking turns."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    timed: dict[int, list[Timed]] = {1: [], 2: []}
    alone: list[float] = []
    both: list[float] = []
    for _ in range(sizes.rounds):
        for num_nodes, found in timed.items():
            with TemporaryDirectory(prefix="monosweep-bench-") as folder:
                found.append(sweep(sizes, num_nodes, Path(folder)))
            assert found[-1].num_workers == num_nodes, (
                "cohorts so short that a worker came too late"
            )
        alone.append(bare(sizes, cores[:1]))
        both.append(bare(sizes, cores))
    one_s, two_s = (statistics.median(each.search_s for each in timed[n]) for n in (1, 2))
    return {
        "one_node_s": one_s,
        "two_nodes_s": two_s,
        "efficiency": one_s / (2 * two_s),
        "machine_efficiency": statistics.median(alone) / statistics.median(both),
        "start_up_s": statistics.median(each.start_up_s for n in (1, 2) for each in timed[n]),
        "cohort_s": one_s / sizes.num_cohorts,
        "share": sizes.share,
        "num_cohorts": sizes.num_cohorts,
        "each": {str(n): [asdict(each) for each in found] for n, found in timed.items()},
    }


def noop(settings: Settings) -> dict[str, Any]:
    """What cohorts that end at once cost the driver, in a process of its own."""
    done = subprocess.run(
        [
            *(sys.executable, str(Path(__file__).with_name("noop_cohorts.py"))),
            json.dumps(asdict(settings)),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def new_ledgers(kind: str) -> Iterator[Any]:
    """Brings the URL of an empty database at each call."""
    with TemporaryDirectory(prefix="monosweep-bench-") as folder:
        if kind == "sqlite":
            yield lambda: f"sqlite:///{folder}/{time.monotonic_ns()}.db"
            return
        with closing(Postgres()) as postgres:
            postgres.start()
            yield postgres.new_database


def limits(sizes: Sizes, cohort_s: Mapping[str, float]) -> list[dict[str, Any]]:
    """At how many workers the driver is the limit, by the kind of ledger.

    Args:
        sizes: How much is measured.
        cohort_s: What cohorts take, by name.
    """
    rows = []
    many = 20
    for kind in sizes.databases:
        with new_ledgers(kind) as new:

            def at_once(
                num_reports: int, *, profile: bool = False, new: Any = new
            ) -> dict[str, Any]:
                settings = Settings(
                    new(), "tpe", sizes.workers, COHORT, sizes.num_noops, num_reports, profile
                )
                return noop(settings)

            few, more = at_once(1), at_once(1 + many)
            report_s = max(more["cohort_s"] - few["cohort_s"], 0.0) / many
            each_s = few["cohort_s"] - report_s
            rows.append(
                {
                    "case": f"{kind}, {sizes.num_noops * COHORT} trials by TPE",
                    "cohorts_per_s": 1.0 / each_s,
                    "trials_per_s": COHORT / each_s,
                    "cohort_ms": each_s * 1e3,
                    "cohort_cpu_ms": few["cohort_cpu_s"] * 1e3,
                    "report_ms": report_s * 1e3,
                    "workers": {
                        name: workers(each_s, report_s, seconds)
                        for name, seconds in cohort_s.items()
                    },
                    "hot": at_once(1, profile=True)["hot"],
                }
            )
    return rows


def workers(each_s: float, report_s: float, cohort_s: float) -> float:
    """How many of them keep the driver busy without a pause.

    Args:
        each_s: What a cohort costs the driver.
        report_s: What a report costs it; each worker sends one a second.
        cohort_s: What a cohort takes.
    """
    return 1.0 / (each_s / cohort_s + report_s)


def measure(sizes: Sizes) -> dict[str, Any]:
    """The whole benchmark, as it is written."""
    found = efficiency(sizes)
    # They are of the quick start's task and network.
    cohort_s = found["cohort_s"]
    limited = limits(sizes, {f"{SHORT_S:g} s": SHORT_S, f"{cohort_s:.1f} s, as here": cohort_s})
    return whole(
        [],
        ("torch", "ray", "optuna", "sqlalchemy"),
        limit=found["machine_efficiency"],
        wanted=WANTED,
        nodes=found,
        driver=limited,
    )


def show(found: Mapping[str, Any]) -> None:
    """The tables."""
    nodes = found["nodes"]
    print(
        f"{nodes['num_cohorts']} cohorts of {COHORT} trials, {nodes['cohort_s']:.1f} s each with "
        f"{nodes['share']:g} of a core"
    )
    print(f"{'one node':28} {nodes['one_node_s']:8.1f} s")
    print(f"{'two nodes':28} {nodes['two_nodes_s']:8.1f} s")
    print(f"{'efficiency':28} {nodes['efficiency']:8.1%}  (to be {found['wanted']:.0%})")
    print(f"{'of two cores without Ray':28} {nodes['machine_efficiency']:8.1%}")
    print(f"{'start-up, not counted':28} {nodes['start_up_s']:8.1f} s")
    for row in found["driver"]:
        print(
            f"{row['case']:28} {row['cohorts_per_s']:8.1f} cohorts/s {row['trials_per_s']:6.1f} "
            f"trials/s, {row['cohort_cpu_ms']:.0f} ms of a core a cohort, "
            f"{row['report_ms']:.1f} ms a report"
        )
        for name, num in row["workers"].items():
            print(f"{'':28} the limit at {num:.0f} workers, with cohorts of {name}")


def main() -> None:
    """Measure, print, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=Sizes.num_steps, help="fewer for trying")
    parser.add_argument("--cohorts", type=int, default=Sizes.num_cohorts, help="an even number")
    parser.add_argument("--rounds", type=int, default=Sizes.rounds)
    parser.add_argument("--noops", type=int, default=Sizes.num_noops)
    options = parser.parse_args()
    sizes = Sizes(
        num_steps=options.steps,
        num_cohorts=options.cohorts,
        rounds=options.rounds,
        num_noops=options.noops,
    )
    found = measure(sizes)
    show(found)
    write(OUTPUT, found)


if __name__ == "__main__":
    main()
