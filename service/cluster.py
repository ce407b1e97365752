"""A Ray cluster: started here or joined, and left again."""

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, NoReturn

# Read by Ray when it is imported or started: it neither reports its use to anybody nor hides GPUs
# from workers that were given none.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Nor does it, where it is started here, start a process for each processor ahead of any work: Tune
# asks for workers with an environment of their own, and all of these would be in vain.
os.environ.setdefault("RAY_prestart_worker_first_driver", "0")

import psutil
import ray
from ray._private import ray_constants, services
from ray._private import utils as ray_utils
from ray._private.node import Node
from ray.experimental import internal_kv

from service import stopping
from service.errors import InterruptedSweepError, UserError, WorkerError
from service.room import Machine, Room

REACH_S = 10.0
RAY_WATCH_S = 1.0
# How long a cluster may be away. Ray itself ends the driver after 60 s, with nothing said of how to
# go on, or lets it wait for ever.
AWAY_S = 30.0
# A signal to all processes ends Ray's before this one's handler has run.
SIGNAL_S = 2.0
WAIT_S = 0.2
RAY_SERVERS = ("gcs_server", "raylet")
# Where no dashboard listens.
NOBODY = "127.0.0.1:9"
OBJECT_STORE_BYTES = 150 * 1024**2
# What Tune gives the environment of its workers (``ray.tune.execution.class_cache``), and what it
# hands on from ours. With a first process in such an environment Ray starts a second one, which a
# cohort then takes: it was at work in 0.6 s instead of 4.5 s on a busy machine.
TUNES_VARIABLES = {"PL_DISABLE_FORK": "1"}
HANDED_ON = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
)
# What keeps each watch below from taking an end that we asked for as one that came by itself.
_ray_is_ending = threading.Event()
_cluster_is_left = threading.Event()


def connect(address: str | None, here: Room) -> Room:
    """Start Ray here, or join the cluster at ``address``; what there is for cohorts.

    Args:
        address: A cluster, or None to start Ray here.
        here: What this machine has.

    Raises:
        UserError: If there is no cluster at the address.
        InterruptedSweepError: If somebody asked for the end meanwhile.
    """
    if stopping.is_asked():
        raise InterruptedSweepError(
            f"Interrupted before Ray was started. Go on with: {stopping.how_to_resume()}"
        )
    try:
        _init(address, sum(machine.num_cpus for machine in here.machines))
    except SystemExit as error:
        # Ray's own handler of SIGTERM, which it puts in place of ours while it starts.
        raise InterruptedSweepError(
            f"Interrupted while Ray was starting. Go on with: {stopping.how_to_resume()}"
        ) from error
    stopping.take_signals()
    if address is None:
        gpus = float(ray.cluster_resources().get("GPU", 0))
        return Room(tuple(replace(machine, num_gpus=gpus) for machine in here.machines))
    return _cluster_room(ray.nodes())


def _cluster_room(nodes: Sequence[Mapping[str, Any]]) -> Room:
    """What the machines of a cluster that are alive have for cohorts."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    return Room(
        tuple(
            Machine(
                num_cpus=int(has.get("CPU", 0)),
                memory_bytes=int(has.get("memory", 0)),
                num_gpus=float(has.get("GPU", 0)),
            )
            for has in alive
        ),
        can_grow=True,
    )


class _OwnSession(services.ConsolePopen):  # type: ignore[misc]
    """A process of Ray's that signals to our process group do not reach.

    ``timeout``, terminals and batch systems send theirs to the whole group: left in it, Ray would
    end before the cohorts could leave checkpoints. When we die, the kernel ends it.
    """

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options, start_new_session=True)


def _init(address: str | None, num_cpus: int) -> None:
    if address is None:
        services.ConsolePopen = _OwnSession
        with _without_dashboard_and_monitors():
            ray.init(
                # A cluster of our own, whatever RAY_ADDRESS says or runs on this machine.
                address="local",
                num_cpus=num_cpus,
                object_store_memory=OBJECT_STORE_BYTES,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        # Ray's agent asks for it every second until it finds one, and logs each time.
        internal_kv._internal_kv_put(
            ray_constants.DASHBOARD_ADDRESS,
            NOBODY,
            namespace=ray_constants.KV_NAMESPACE_DASHBOARD,
        )
        _leave_with_ray()
    else:
        join(address)
        _leave_with_cluster()


@contextmanager
def _without_dashboard_and_monitors() -> Iterator[None]:
    """Have a Ray that starts meanwhile leave out what a sweep here has no use for.

    It has no option for that: its dashboard (``include_dashboard=False`` starts it all the same,
    and waits for it), and the monitors that ask for more machines and follow logs. They are three
    processes, and more than a second of every start. That what the dashboard is made of is missing
    is said because Ray imports all of it here to find out, for half a second; its agent then leaves
    its own servers out.
    """
    replaced: list[tuple[Any, str, Callable[..., Any]]] = [
        # Its address, and the process.
        (services, "start_api_server", lambda *_words, **_options: ("", None)),
        (Node, "start_monitor", lambda _node: None),
        (Node, "start_log_monitor", lambda _node: None),
        (ray_utils, "get_dashboard_dependency_error", lambda: ImportError("left out")),
    ]
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in replaced]
    for owner, name, other in replaced:
        setattr(owner, name, other)
    try:
        yield
    finally:
        for owner, name, its_own in kept:
            setattr(owner, name, its_own)


def join(address: str) -> None:
    """Join the cluster at an address.

    Raises:
        UserError: If there is none.
    """
    _check_reachable(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise _no_cluster(address, error) from error


def _check_reachable(address: str) -> None:
    """Ray itself waits for minutes before it says that nobody answers."""
    place = address.removeprefix("ray://")
    if ":" in place and place.rpartition(":")[2].isdecimal():
        try:
            _reach(place)
        except OSError as error:
            raise _no_cluster(address, error) from error


def _no_cluster(address: str, error: Exception) -> UserError:
    return UserError(
        f"there must be a Ray cluster at --address, found none ({address}: "
        f"{' '.join(str(error).split()).rstrip('.')}). Start one with: ray start --head"
    )


def disconnect() -> None:
    """Leave the cluster, or end the one that was started here."""
    _ray_is_ending.set()
    ray.shutdown()
    # Only now: without a cluster that would not return.
    _cluster_is_left.set()


def _leave_with_ray() -> None:
    """End this process if the Ray that was started here dies: Tune would wait for it for ever.

    What the ledger holds is whole at any moment. Ray's other processes would stay for a while.
    """
    _ray_is_ending.clear()
    this = psutil.Process()
    servers = [one for one in this.children(recursive=True) if _name(one) in RAY_SERVERS]

    def watch() -> None:
        family = this.children(recursive=True)
        while not _ray_is_ending.wait(RAY_WATCH_S):
            if all(map(_is_alive, servers)):
                family = this.children(recursive=True)
                continue
            ended = "Ray has ended on this machine before the sweep did."
            _leave("Interrupted." if stopping.is_asked_within(SIGNAL_S) else ended, family)

    threading.Thread(target=watch, name="ray-watch", daemon=True).start()


def _leave_with_cluster() -> None:
    """End this process if the cluster that was joined is away: its head, or Ray on this machine.

    What is at work there may go on for a while; whoever takes the sweep over takes nothing from it.
    """
    _cluster_is_left.clear()
    here = ray.get_runtime_context()
    (node,) = (one for one in ray.nodes() if one["NodeID"] == here.get_node_id())
    reach = Reach([here.gcs_address, f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}"])

    def watch() -> None:
        while not _cluster_is_left.wait(RAY_WATCH_S):
            if reach.is_lost():
                _leave(f"The Ray cluster at {here.gcs_address} has not answered for {AWAY_S:g} s.")

    threading.Thread(target=watch, name="cluster-watch", daemon=True).start()


class Reach:
    """Whether places on the network answer.

    Args:
        places: Each ``host:port``.
        clock: Seconds, from anywhere.
    """

    def __init__(self, places: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._places = places
        self._clock = clock
        self._answered_at = clock()

    def is_lost(self) -> bool:
        """Whether any of them has not answered for too long."""
        asked_at = self._clock()
        try:
            for place in self._places:
                _reach(place)
        except OSError:
            return self._clock() - self._answered_at >= AWAY_S
        self._answered_at = asked_at
        return False


def _reach(place: str) -> None:
    host, _, port = place.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_S).close()


def _leave(found: str, family: Sequence[psutil.Process] = ()) -> NoReturn:
    print(
        f"{found} Nothing that ended is lost. Go on with: {stopping.how_to_resume()}",
        file=sys.stderr,
        flush=True,
    )
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    os._exit(InterruptedSweepError.exit_code)


def _name(process: psutil.Process) -> str:
    """Empty for one that is gone by now, as Ray's helpers soon are."""
    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return ""


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def on_worker(function: Callable[[Any], Any], argument: Any, *, cpus: int, gpus: float) -> Any:
    """What a function of an importable module returns on a worker with these resources.

    Raises:
        WorkerError: If it raised, or its worker died.
        InterruptedSweepError: If somebody asked for the end meanwhile.
    """
    handed_on = {name: os.environ[name] for name in HANDED_ON if name in os.environ}
    remote = ray.remote(
        num_cpus=cpus,
        num_gpus=gpus,
        max_retries=0,
        runtime_env={"env_vars": {**TUNES_VARIABLES, **handed_on}},
    )(function)
    reference = remote.remote(argument)
    while not ray.wait([reference], timeout=WAIT_S)[0]:
        if stopping.is_asked():
            ray.cancel(reference, force=True)
            raise InterruptedSweepError(
                f"Interrupted before training. Go on with: {stopping.how_to_resume()}"
            )
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        raise WorkerError(str(error).strip().splitlines()[-1]) from error
