"""What may be done with a sweep where it stands: which buttons its page has."""

from typing import Literal

from service.api.board import Standing

Deed = Literal["stop", "resume", "extend", "delete"]


def deeds_for(standing: Standing) -> frozenset[Deed]:
    """The deeds that would not be refused, as the API's own routes refuse them."""
    stage = standing.stage
    is_elsewhere = standing.entry is None and standing.record.is_live
    if stage == "deleting":
        return frozenset({"delete"})
    if is_elsewhere:
        return frozenset()
    found: set[Deed] = {"extend"}
    if stage in ("queued", "starting", "running", "waiting"):
        found.add("stop")
    if stage in ("stopping", "stopped", "failed", "waiting", "unmanaged") and (
        standing.record.state != "finished"
    ):
        found.add("resume")
    if stage not in ("starting", "running", "stopping"):
        found.add("delete")
    return frozenset(found)
