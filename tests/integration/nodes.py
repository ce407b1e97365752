"""A Ray cluster of several nodes on this machine, whose nodes and workers can be killed."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psutil
from ray.cluster_utils import Cluster

OBJECT_STORE_BYTES = 100 * 1024**2
# A dead node is noticed in some 5 s instead of 13.
WATCHFUL = {
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "5",
}
WORKER = "Trainable"


class Nodes:
    """A head that takes no work, and nodes of one processor each that do.

    Ended by ``ending`` together with all that they started.
    """

    def __init__(self, num_nodes: int) -> None:
        os.environ.update(WATCHFUL)
        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "object_store_memory": OBJECT_STORE_BYTES},
        )
        self._at_work = [self._new() for _ in range(num_nodes)]

    @property
    def address(self) -> str:
        """Where a driver joins it."""
        return str(self._cluster.address)

    def bind(self, cores: Sequence[int]) -> None:
        """Keep each node that takes work, and all that it starts from now on, to one core."""
        for node, core in zip(self._at_work, cores, strict=False):
            for process in _tree(node):
                process.cpu_affinity([core])

    def pids(self) -> list[list[int]]:
        """The processes of each node that takes work."""
        return [[process.pid for process in _tree(node)] for node in self._at_work]

    def workers(self) -> list[psutil.Process]:
        """The processes that train cohorts now."""
        return [worker for node in self._at_work for worker in _workers(node)]

    def kill_worker(self) -> None:
        """End one process that trains, as the system does when memory runs out."""
        self.workers()[0].kill()

    def kill_node(self) -> None:
        """End all of a node that trains, and let another one join."""
        node = next(node for node in self._at_work if _workers(node))
        tree = _tree(node)
        self._cluster.remove_node(node, allow_graceful=False)
        # Its workers outlive it for a while, and their work would go on.
        for process in tree:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._at_work[self._at_work.index(node)] = self._new()

    def kill_head(self) -> None:
        """End all of the head, and with it the cluster: nobody takes its place."""
        for process in _tree(self._cluster.head_node):
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def close(self) -> None:
        """End all of it."""
        self._cluster.shutdown()
        for name in WATCHFUL:
            os.environ.pop(name, None)

    def _new(self) -> object:
        return self._cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES)


@contextmanager
def ending(nodes: Nodes) -> Iterator[Nodes]:
    try:
        yield nodes
    finally:
        nodes.close()


def _tree(node: object) -> list[psutil.Process]:
    """The processes of a node and what they started."""
    found = []
    for _, pid in node.live_processes():  # type: ignore[attr-defined]
        with suppress(psutil.NoSuchProcess):
            found += [psutil.Process(pid.pid), *psutil.Process(pid.pid).children(recursive=True)]
    return found


def _workers(node: object) -> list[psutil.Process]:
    found = []
    for process in _tree(node):
        with suppress(psutil.NoSuchProcess):
            if any(WORKER in word for word in process.cmdline()):
                found.append(process)
    return found
