"""What one machine of a cluster says of itself. Runs on it, as a cohort's worker does."""

import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version

import psutil

from service import cluster_nodes
from service.errors import MonosweepError
from service.home import Home, without_password
from service.machine import has_bfloat16_products, memory_bytes, versions
from service.storage import Storage, answering

# What a checkpoint of four of the quick start's trials takes.
CHECKPOINT_BYTES = 8 * 2**20
NUM_READINGS = 5


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a machine is.

    Attributes:
        versions: Of Python and Ray, and of what changes numbers; the kind of processor.
        has_bfloat16: Whether its processor multiplies matrices in bfloat16.
        asks_for_a_token: Whether Ray there lets in only who has the cluster's token.
        memory_bytes: Memory that it has.
        free_memory_bytes: How much of it is free.
        disk_bytes: Size of the disk that Ray writes its own files to.
        free_disk_bytes: How much of it is free.
    """

    versions: Mapping[str, str]
    has_bfloat16: bool
    asks_for_a_token: bool
    memory_bytes: int
    free_memory_bytes: int
    disk_bytes: int
    free_disk_bytes: int


def facts(_: None = None) -> Facts:
    """What this machine is."""
    disk = shutil.disk_usage(tempfile.gettempdir())
    return Facts(
        versions={
            "python": platform.python_version(),
            "ray": version("ray"),
            **versions(),
        },
        has_bfloat16=has_bfloat16_products(),
        asks_for_a_token=cluster_nodes.asks_for_a_token(),
        memory_bytes=memory_bytes(),
        free_memory_bytes=int(psutil.virtual_memory().available),
        disk_bytes=disk.total,
        free_disk_bytes=disk.free,
    )


@dataclass(frozen=True)
class Place:
    """A file, or what it is to be called, in a storage."""

    # Ray's own files and logs tell of what functions are called with, and a URI may hold keys.
    storage: str = field(repr=False)
    path: str


@dataclass(frozen=True)
class Done:
    """What came of writing or reading.

    Attributes:
        path: The file.
        seconds: How long it took.
        problem: Why it did not work; None where it did.
    """

    path: str
    seconds: float
    problem: str | None = None


def write(place: Place) -> Done:
    """Write a file of a checkpoint's size, whose name then tells what is in it."""
    data = f"{platform.node()} {time.time_ns()} ".encode()
    whole = (data * (CHECKPOINT_BYTES // len(data) + 1))[:CHECKPOINT_BYTES]
    storage = Storage(place.storage)
    return _timed(place.path, lambda: storage.add_file(place.path, whole, ".bin"))


def read(place: Place) -> Done:
    """Read what another machine has written, and compare it with its name."""
    storage = Storage(place.storage)

    def read_whole() -> str:
        storage.read_file(place.path)
        return place.path

    return _timed(place.path, read_whole)


def _timed(path: str, act: Callable[[], str]) -> Done:
    began = time.perf_counter()
    try:
        with answering():
            path = act()
    except MonosweepError as error:
        return Done(path, time.perf_counter() - began, str(error))
    return Done(path, time.perf_counter() - began)


def clock(_: None = None) -> float:
    """Seconds since 1970, by this machine's clock."""
    return time.time()


def nothing(_: None = None) -> None:
    """Costs what any task costs."""


@dataclass(frozen=True)
class Places:
    """Where a driver that is started on a machine keeps sweeps, without passwords.

    Attributes:
        ledger: The ledger's URL.
        storage: The storage's.
        tracking: MLflow's.
        ledger_s: How long a question to the ledger takes; None where there is none yet.
        problem: Why a driver could keep none; None where it can.
    """

    ledger: str = ""
    storage: str = ""
    tracking: str = ""
    ledger_s: float | None = None
    problem: str | None = None


def places(_: None = None) -> Places:
    """Where a driver that is started here keeps sweeps, by the environment that Ray has here."""
    # Takes seconds to import, which only the head's machine pays.
    from service.ledger.clock import database_clock, surest  # noqa: PLC0415

    try:
        home = Home.from_environment()
        readings = database_clock(home.ledger_url, NUM_READINGS)
    except MonosweepError as error:
        return Places(problem=str(error))
    return Places(
        ledger=without_password(home.ledger_url),
        storage=without_password(home.storage),
        tracking=without_password(home.tracking_uri),
        ledger_s=surest(readings).round_trip_s if readings else None,
    )
