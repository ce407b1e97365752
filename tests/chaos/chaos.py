"""Kill sweeps with all that they started, resume them, and see that nothing is amiss.

Run by ``make chaos``: 100 kills of small sweeps on this machine, some 25 minutes on 2 cores, then
10 of workers and nodes of a cluster, and one of its head. The moments come from a printed seed;
``--seed`` repeats them (what is then at work depends on the machine too).
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from shutil import rmtree
from tempfile import mkdtemp

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from aims import AIMS, CHECKPOINT_WRITE, IN_PHASE, LEDGER_WRITE, ORDER, Attack
from cluster_kills import kill_workers_nodes_and_head
from shell import LONGER, Shell, write_spec
from victim import PLAIN, Victim
from wholeness import AmissError, check_is_kept, check_is_same, check_is_whole

from service.trials import PHASES

STOPPED_EARLY = PLAIN.replace("num_trials: 4", "num_trials: 6").replace(
    "compute: {cohort_size: 2",
    "early_stopping: {first_step: 256, reduction: 2}\ncompute: {cohort_size: 3",
)
# Which of two cohorts ends first decides what is proposed next: the numbers are its own.
TWO_AT_A_TIME = PLAIN.replace("max_concurrent: 1", "max_concurrent: 2")
SPECS = (STOPPED_EARLY, TWO_AT_A_TIME, PLAIN)
KILLS_A_SWEEP = 10
SIDE_BY_SIDE = 2
# Sweeps more for what no kill has hit: a write can get out of it in the last millisecond.
MOST_PURSUITS = 4

# How often each kind of moment was hit in each phase.
Hits = Counter[tuple[str, str]]


@dataclass
class Ordeal:
    """What one sweep went through.

    Attributes:
        victim: The sweep, whole again.
        hits: What was hit.
        missed: Aims that it ended before.
    """

    victim: Victim
    hits: Hits = field(default_factory=Counter)
    missed: Sequence[str] = ()


def torment(victim: Victim, aims: Sequence[str], rng: Random) -> Ordeal:
    """Kill a sweep again and again, and let it go on to its end.

    Raises:
        AmissError: If anything of it is amiss then or on the way.
    """
    ordeal = Ordeal(victim)
    for number, aim in enumerate(aims):
        before, began_at = victim.trials(), time.time()
        driver = victim.start()
        hit = AIMS[aim](Attack(victim, driver, began_at, rng))
        if hit is None:
            ordeal.missed = aims[number:]
            driver.ends()
            break
        driver.process.wait()
        ordeal.hits[hit, victim.phase()] += 1
        check_is_kept(victim, before)
    else:
        before = victim.trials()
        victim.finish()
    check_is_kept(victim, before)
    check_is_whole(victim)
    return ordeal


def deck(num_kills: int, rng: Random) -> list[str]:
    """Aims of so many kills: the first ten in their order, later ones mixed.

    Phases stay in their order, so that a sweep can come to all of them.
    """
    aims = list(ORDER)
    while len(aims) < num_kills:
        mixed = rng.sample(ORDER, len(ORDER))
        phases = iter(PHASES)
        aims += [next(phases) if aim in PHASES else aim for aim in mixed]
    return aims[:num_kills]


def _finish(victim: Victim) -> Victim:
    victim.finish()
    check_is_whole(victim)
    return victim


@dataclass
class Chaos:
    """Sweeps side by side, those that are killed and those that they are compared with.

    Args:
        folder: Where they lie.
        seed: Where moments come from.
        specs: Their sweep files, in turn.
    """

    folder: Path
    seed: int
    specs: Sequence[str] = SPECS
    hits: Hits = field(default_factory=Counter)
    num_sweeps: int = 0
    _untouched: dict[str, "Future[Victim]"] = field(default_factory=dict)

    def kill(self, aims: Sequence[str], kills_a_sweep: int = KILLS_A_SWEEP) -> Hits:
        """Kill sweeps once for each aim; what was hit.

        Raises:
            AmissError: If anything of a sweep is amiss afterwards.
        """
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            while aims:
                parts = range(0, len(aims), kills_a_sweep)
                plans = [aims[first : first + kills_a_sweep] for first in parts]
                missed = self._round(pool, plans)
                if len(missed) == len(aims):
                    raise AmissError(f"no sweep ever came to {set(missed)}")
                aims = missed
        return self.hits

    def pursue(self) -> Hits:
        """Kill further sweeps at what was never hit, until it is; what was hit in all.

        Raises:
            AmissError: If anything of a sweep is amiss afterwards.
        """
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            for _ in range(MOST_PURSUITS):
                aims = sorted((AIMED_AT[one] for one in unhit(self.hits)), key=ORDER.index)
                if not aims:
                    break
                self._round(pool, [aims])
        return self.hits

    def _round(self, pool: ThreadPoolExecutor, plans: Sequence[Sequence[str]]) -> list[str]:
        """Let as many sweeps go through it; the aims that they missed."""
        ordeals = [self._submit(pool, plan) for plan in plans]
        missed: list[str] = []
        for ordeal in (future.result() for future in ordeals):
            if ordeal.victim.spec in self._untouched:
                check_is_same(ordeal.victim, self._untouched[ordeal.victim.spec].result())
            self.hits += ordeal.hits
            missed += ordeal.missed
            print(f"{self.hits.total()} kills, {ordeal.victim.folder.name} whole", flush=True)
        return sorted(missed, key=ORDER.index)

    def _submit(self, pool: ThreadPoolExecutor, plan: Sequence[str]) -> "Future[Ordeal]":
        number = self.num_sweeps
        self.num_sweeps += 1
        spec = self.specs[number % len(self.specs)]
        if spec is not TWO_AT_A_TIME and spec not in self._untouched:
            untouched = Victim(self.folder / f"untouched-{number}", spec)
            self._untouched[spec] = pool.submit(_finish, untouched)
        victim = Victim(self.folder / f"sweep-{number}", spec)
        return pool.submit(torment, victim, plan, Random(f"{self.seed}-{number}"))


# What must be hit, and by which aim; in an order in which one sweep comes to all of them.
AIMED_AT = {
    f"{IN_PHASE}: baseline": "baseline",
    CHECKPOINT_WRITE: "checkpoint",
    f"{IN_PHASE}: search": "search",
    LEDGER_WRITE: "ledger",
    f"{IN_PHASE}: confirmation": "confirmation",
}


def unhit(hits: Hits) -> set[str]:
    """Which phases and writes were never hit."""
    # Who writes a checkpoint has a cohort at work.
    at_work = {phase for kind, phase in hits if kind in (IN_PHASE, CHECKPOINT_WRITE)}
    found = {kind for kind, _ in hits} | {f"{IN_PHASE}: {phase}" for phase in at_work}
    return set(AIMED_AT) - found


def main() -> None:
    """Kill, resume, check, and say what was hit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--cluster-kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    # Left where it is if something is amiss.
    folder = Path(mkdtemp(prefix="monosweep-chaos-"))
    began = time.monotonic()
    chaos = Chaos(folder, options.seed)
    chaos.kill(deck(options.kills, Random(options.seed)))
    hits = chaos.pursue()
    for (kind, phase), count in sorted(hits.items()):
        print(f"{kind:18} {phase:14} {count:4}")
    print(f"{hits.total()} kills in {(time.monotonic() - began) / 60:.1f} minutes", flush=True)
    if options.cluster_kills:
        undisturbed = Shell(folder / "undisturbed" / "home")
        undisturbed.home.parent.mkdir()
        undisturbed.run("run", str(write_spec(undisturbed.home.parent, **LONGER)))
        kill_workers_nodes_and_head(folder, undisturbed, options.cluster_kills, num_nodes=2)
        print(f"{options.cluster_kills} kills of nodes and workers, and the head's: whole")
    rmtree(folder)
    if unhit(hits):
        sys.exit(f"never hit: {', '.join(sorted(unhit(hits)))}")


if __name__ == "__main__":
    main()
