"""The machines of a Ray cluster: looked at, and asked to run a function each."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# First: it sets what Ray reads when it is imported.
from service.cluster import join  # isort: split

import ray
from ray._private.authentication.authentication_utils import is_token_auth_enabled
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


@dataclass(frozen=True)
class Node:
    """A machine of a cluster, as the cluster's head knows it.

    Attributes:
        node_id: Ray's.
        host: What it calls itself.
        address: Where it is.
        is_head: Whether the cluster's head is on it.
        is_alive: Whether the head hears of it.
        end: Why the head gave it up, in Ray's words; empty for one that is alive.
        num_cpus: Processors that it lends to cohorts.
        num_gpus: GPUs, the same.
        object_store_bytes: Memory that is set aside for Ray's object store.
    """

    node_id: str
    host: str
    address: str
    is_head: bool
    is_alive: bool
    end: str
    num_cpus: float
    num_gpus: float
    object_store_bytes: int


@dataclass(frozen=True)
class NoAnswer:
    """Why a node did not answer."""

    why: str


@contextmanager
def looking(address: str) -> Iterator[None]:
    """Join a cluster for a look at it, and leave it again.

    Raises:
        UserError: If there is no cluster at the address, or no node of it on this machine.
    """
    join(address)
    try:
        yield
    finally:
        ray.shutdown()


def nodes() -> list[Node]:
    """The machines of the cluster, also those that left it, the head first, then by name."""
    found = [_node(row) for row in ray.nodes()]
    return sorted(found, key=lambda node: (not node.is_head, node.host, node.address))


def _node(row: Mapping[str, Any]) -> Node:
    has = row["Resources"]
    return Node(
        node_id=row["NodeID"],
        host=row["NodeManagerHostname"],
        address=row["NodeManagerAddress"],
        is_head="node:__internal_head__" in has,
        is_alive=row["Alive"],
        end=" ".join(row.get("DeathReasonMessage", "").split()),
        num_cpus=float(has.get("CPU", 0)),
        num_gpus=float(has.get("GPU", 0)),
        object_store_bytes=int(has.get("object_store_memory", 0)),
    )


def ask(
    questions: Mapping[Node, Any], function: Callable[[Any], Any], seconds: float
) -> dict[Node, Any]:
    """What a function of an importable module returns on each of some nodes, all asked at once.

    Args:
        questions: What it is called with there.
        function: Called with one argument; it takes no processor from anybody.
        seconds: How long is waited for all of them together.

    Returns:
        What it returned, or ``NoAnswer``, by node.
    """
    remote = ray.remote(num_cpus=0, max_retries=0)(function)
    references = {
        node: remote.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.node_id, soft=False)
        ).remote(argument)
        for node, argument in questions.items()
    }
    asked = list(references.values())
    ready, _ = ray.wait(asked, num_returns=len(asked), timeout=seconds) if asked else ([], [])
    return {
        node: _answer(reference) if reference in ready else _given_up(reference, seconds)
        for node, reference in references.items()
    }


def _answer(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        return NoAnswer(str(error).strip().splitlines()[-1].strip())


def _given_up(reference: Any, seconds: float) -> NoAnswer:
    ray.cancel(reference, force=True)
    return NoAnswer(f"nothing was heard of it for {seconds:g} s")


def asks_for_a_token() -> bool:
    """Whether Ray on this machine lets in only who has the cluster's token."""
    return bool(is_token_auth_enabled())


def dashboard() -> str | None:
    """Where the dashboard of the cluster that was joined is, ``host:port``; None without one."""
    return str(ray._private.worker.get_dashboard_url() or "") or None
