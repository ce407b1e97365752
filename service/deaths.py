"""How Ray says that a worker died, and how Tune is to take it."""

import re
from typing import Any

from ray.air.execution._internal import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.execution import tune_controller

# Ray's words, which it has in its messages only, for a worker that ended with its machine, or that
# never began since there was none any more.
MACHINE_LOST = ("the actor's node was", "its node has died", "The actor never ran")
_FULL = re.compile(r"node \(IP: (\S+), .*?\) was (.*? limit)")


class _ActorManager(RayActorManager):  # type: ignore[misc]
    """Tune's own, to which a worker that Ray ended for memory is one that died like any other.

    Left to itself, Tune takes that for a fault of its own and ends the whole run with it.
    """

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            exception = RayActorError(error_msg=out_of_memory(str(exception)))
        super()._actor_task_failed(tracked_actor_task, exception)


def survive_out_of_memory() -> None:
    """Let every Tune run from now on go on when Ray ends a worker for memory."""
    tune_controller.RayActorManager = _ActorManager


def out_of_memory(said: str) -> str:
    """What people are told of it: where memory ran out, and how full it was.

    Args:
        said: Ray's message, with advice of many lines.
    """
    found = _FULL.search(said)
    where = f" on {found[1]}: {found[2]}" if found is not None else " on its machine"
    return f"memory ran out{where}"
