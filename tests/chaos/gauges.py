"""What a server and Ray hold: memory, threads, files and connections, process by process."""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

MB = 1e6
SERVER = "server"
# What stands for a process of Ray's that lives as long as its head, in its command line.
RAY = {
    "/gcs_server": "gcs",
    "raylet/raylet": "raylet",
    "log_monitor.py": "log monitor",
    "_private/monitor.py": "monitor",
    "ray.util.client.server": "client server",
    "dashboard.py": "dashboard",
    "forkserver": "forks",
    "ray.scripts.scripts": "head",
    "ray::DashboardAgent": "dashboard agent",
    "ray::RuntimeEnvAgent": "environment agent",
}
RAY_DASHBOARD, RAY_WORKER, IDLE, DRIVER = "ray-dashboard-", "ray::", "ray::IDLE", "-m service"
# Of the readings left after the warm-up, how many each third has at least to be compared.
FEWEST = 2


@dataclass(frozen=True)
class Limit:
    """How much larger a gauge may be in the last third than in the first one.

    Attributes:
        share: Of what it was.
        at_least: In its own unit; the larger of both counts.
    """

    share: float
    at_least: float

    def of(self, before: float) -> float:
        """The most that it may be."""
        return before + max(self.share * before, self.at_least)


# By gauge, or by what it is of. Ray's processes remember what they ran, up to numbers of their own:
# some MB in 20 minutes. A connection or a file is held while a call is answered, a thread of a pool
# is started when all others are busy.
LIMITS = {
    f"{SERVER} memory": Limit(0.02, 0.0),
    "memory": Limit(0.05, 8.0),
    "threads": Limit(0.0, 2.0),
    "files": Limit(0.0, 4.0),
    "connections": Limit(0.0, 4.0),
    "left": Limit(0.0, 0.0),
}


@dataclass(frozen=True)
class Reading:
    """All gauges at one moment between two sweeps.

    Attributes:
        at_s: Seconds since the start.
        num_sweeps: Sweeps that had ended by then.
        gauges: By name, which ends in what it is of, a word of ``LIMITS``.
    """

    at_s: float
    num_sweeps: int
    gauges: Mapping[str, float]


@dataclass(frozen=True)
class Growth:
    """A gauge in the first and in the last third after the warm-up: medians."""

    gauge: str
    before: float
    after: float

    @property
    def is_within(self) -> bool:
        """Whether that is no growth."""
        of = self.gauge if self.gauge in LIMITS else self.gauge.rpartition(" ")[2]
        return self.after <= LIMITS[of].of(self.before)


def growths(readings: Sequence[Reading], warm_up_s: float) -> list[Growth]:
    """What each gauge was and has become; nothing where there are too few readings to tell."""
    warm = [one for one in readings if one.at_s >= warm_up_s]
    third = len(warm) // 3
    if third < FEWEST:
        return []

    def median(gauge: str, among: Sequence[Reading]) -> float:
        return statistics.median(one.gauges.get(gauge, 0.0) for one in among)

    names = dict.fromkeys(name for one in warm for name in one.gauges)
    return [Growth(name, median(name, warm[:third]), median(name, warm[-third:])) for name in names]


def of_processes(server: psutil.Process, head: psutil.Process) -> dict[str, float]:
    """Gauges of the server and of each process of Ray's that lives as long as the head."""
    found: dict[str, float] = defaultdict(float)
    kept = [(SERVER, server), *((role, one) for one in family(head) if (role := role_of(one)))]
    for role, process in kept:
        with suppress(psutil.NoSuchProcess), process.oneshot():
            found[f"{role} memory"] += process.memory_info().rss / MB
            found[f"{role} threads"] += process.num_threads()
            found[f"{role} files"] += process.num_fds()
            found[f"{role} connections"] += len(process.net_connections())
    return found


def at_work(head: psutil.Process) -> list[str]:
    """Workers of the head that hold an actor or a task, and drivers that are its jobs."""
    return [words for one in family(head) if _is_at_work(words := _words(one))]


def of_home(home: Path) -> dict[str, float]:
    """Gauges of what lies in a home: all files, and what should be gone once a sweep has ended."""
    return {
        "home's files left": sum(1 for path in home.rglob("*") if path.is_file()),
        "cohorts left": _num_inside(home / "cohorts"),
        "Tune's folders left": _num_inside(home / "tune"),
    }


def _num_inside(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir()) if folder.exists() else 0


def family(process: psutil.Process) -> Iterator[psutil.Process]:
    """A process and all that it started, as far as they live."""
    with suppress(psutil.NoSuchProcess):
        yield process
        yield from process.children(recursive=True)


def role_of(process: psutil.Process) -> str | None:
    """What a process of Ray's is, if it lives as long as its head."""
    words = _words(process)
    if words.startswith(RAY_DASHBOARD):
        return words.split(" ")[0].removeprefix(RAY_DASHBOARD)
    return next((role for mark, role in RAY.items() if mark in words), None)


def _is_at_work(words: str) -> bool:
    if any(mark in words for mark in RAY):
        return False
    return DRIVER in words or (words.startswith(RAY_WORKER) and not words.startswith(IDLE))


def _words(process: psutil.Process) -> str:
    """The command line; empty of a process that is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
