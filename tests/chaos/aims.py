"""When a sweep is killed: at any moment, in a phase, inside a write. Each says what it hit."""

import fcntl
import os
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from subprocess import TimeoutExpired

from shell import Started
from victim import NAME, Tree, Victim

ANY_MOMENT = "any moment"
CHECKPOINT_WRITE = "checkpoint write"
LEDGER_WRITE = "ledger write"
IN_PHASE = "cohort at work"
# Between a driver's start and a kill; it needs some 9 s until its first cohort is at work.
LATEST_KILL_S = 14.0
LATEST_WRITE_S = 10.0
# After a cohort's first checkpoint; it trains for a second or two.
LATEST_S = 0.5
# How long it is taken for known who belongs to a tree.
KNOWN_S = 1.0
# Between two looks: shorter than the write, and the processor is left to those who are to be hit.
CHECKPOINT_LOOK_S = 0.0001
LEDGER_LOOK_S = 0.0005
# What one process locks in SQLite's shared memory while it writes; see its "WAL-mode file format".
WRITE_LOCK = 120
FLOCK = "hhqqi0q"


@dataclass(frozen=True)
class Attack:
    """A victim at work, and who is to kill it.

    Attributes:
        victim: The sweep.
        driver: Its driver.
        began_at: When that was started, by the clock of files.
        rng: Where moments come from.
    """

    victim: Victim
    driver: Started
    began_at: float
    rng: Random

    @property
    def is_alive(self) -> bool:
        return self.driver.process.poll() is None

    def outlives(self, seconds: float) -> bool:
        """Let the driver be for so long; whether it is still at work then."""
        try:
            self.driver.process.wait(seconds)
        except TimeoutExpired:
            return True
        return False

    def waits_for(self, holds: Callable[[], object]) -> bool:
        """Wait until this holds; False if the driver ended before."""
        while self.is_alive:
            if holds():
                return True
            time.sleep(0.02)
        return False

    def is_training(self, phase: str) -> bool:
        """Whether a cohort of a phase has left a checkpoint since the driver began."""
        return any(
            path.parent.name.startswith(f"{phase}-") and _modified_at(path) > self.began_at
            for path in self.victim.checkpoint_files()
        )

    def partial_files(self) -> set[str]:
        """Checkpoints that are being written, or were when somebody was killed before."""
        cohorts = _inside(str(self.victim.shell.home / "cohorts" / NAME))
        return {path for cohort in cohorts for path in _inside(cohort) if ".partial" in path}

    def strike_while(self, holds: Callable[[], object], look_s: float) -> bool:
        """Kill the tree while this holds, which is for a moment only; False if that never came."""
        tree, looked_at = Tree(self.driver.process.pid), 0.0
        while self.is_alive:
            if time.monotonic() - looked_at > KNOWN_S:
                tree.look()
                looked_at = time.monotonic()
            if not holds():
                time.sleep(look_s)
                continue
            tree.freeze()
            if holds():
                tree.kill()
                return True
            tree.thaw()
        return False

    def strike(self) -> None:
        Tree(self.driver.process.pid).kill()


# Kills, and says what was hit; None if the driver ended before it came to that.
Aim = Callable[[Attack], str | None]


def at_any_moment(attack: Attack) -> str | None:
    if not attack.outlives(attack.rng.uniform(0.0, LATEST_KILL_S)):
        return None
    attack.strike()
    return ANY_MOMENT


def in_phase(phase: str) -> Aim:
    """While a cohort of a phase trains."""

    def kill(attack: Attack) -> str | None:
        if not attack.waits_for(lambda: attack.is_training(phase)):
            return None
        if not attack.outlives(attack.rng.uniform(0.0, LATEST_S)):
            return None
        attack.strike()
        return IN_PHASE if attack.victim.phase() == phase else ANY_MOMENT

    return kill


def in_checkpoint_write(attack: Attack) -> str | None:
    """While a checkpoint is not whole yet."""
    phases = ("baseline", "search", "confirmation")
    if not attack.waits_for(lambda: any(map(attack.is_training, phases))):
        return None
    if not attack.outlives(attack.rng.uniform(0.0, LATEST_S)):
        return None
    before = attack.partial_files()
    if not attack.strike_while(lambda: attack.partial_files() - before, CHECKPOINT_LOOK_S):
        return None
    # A worker that was not known yet could have got out of it.
    return CHECKPOINT_WRITE if attack.partial_files() - before else ANY_MOMENT


def in_ledger_write(attack: Attack) -> str | None:
    """While the driver is inside a transaction that writes to the ledger."""
    memory = attack.victim.shell.home / "ledger.db-shm"
    if not attack.outlives(attack.rng.uniform(0.0, LATEST_WRITE_S)):
        return None
    if not attack.waits_for(memory.exists):
        return None
    with memory.open("rb") as file:
        driver = attack.driver.process.pid
        hit = attack.strike_while(lambda: _writer(file.fileno()) == driver, LEDGER_LOOK_S)
    return LEDGER_WRITE if hit else None


def _writer(shared_memory: int) -> int | None:
    """The process that holds SQLite's write lock."""
    wanted = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, WRITE_LOCK, 1, 0)
    found = struct.unpack(FLOCK, fcntl.fcntl(shared_memory, fcntl.F_GETLK, wanted))
    return found[4] if found[0] != fcntl.F_UNLCK else None


def _inside(folder: str) -> list[str]:
    """What is in a folder now; quicker than ``Path`` says it."""
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries]
    except FileNotFoundError:
        return []


def _modified_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


AIMS: Mapping[str, Aim] = {
    "baseline": in_phase("baseline"),
    "search": in_phase("search"),
    "confirmation": in_phase("confirmation"),
    "checkpoint": in_checkpoint_write,
    "ledger": in_ledger_write,
    "moment": at_any_moment,
}
# In the order in which a sweep comes to them; ten of them are the short form.
ORDER = (
    *("baseline", "moment", "checkpoint", "search", "ledger"),
    *("moment", "ledger", "checkpoint", "confirmation", "moment"),
)
