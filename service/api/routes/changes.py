"""The routes that stop, resume, extend and delete a sweep: for its owner, and for admins."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Response
from starlette.concurrency import run_in_threadpool

from service import deletion
from service.api.access import CallerParameter, OwnerRoute, check_owner
from service.api.backing import Backing, BackingParameter
from service.api.board import Standing
from service.api.models import Extension, SweepStatus
from service.api.problems import ConflictError, answers
from service.api.routes.sweeps import NameParameter
from service.api.submitting import check_room
from service.errors import UserError
from service.ledger import queue
from service.ledger.tokens import Caller
from service.recorded import spec_of
from service.sweep import check_budget
from service.verdict import Json

router = APIRouter(
    prefix="/v1/sweeps",
    route_class=OwnerRoute,
    tags=["sweeps"],
    responses=answers(403, 404, 408, 409, 413),
)

# With a driver, or about to have one.
_DRIVEN = ("starting", "running", "stopping")


@router.post("/{name}/stop", status_code=202, response_model=SweepStatus)
async def stop(name: NameParameter, backing: BackingParameter) -> Json:
    """Have a sweep's driver leave a checkpoint and end, until the sweep is resumed."""
    standing = await _fresh(backing, name)
    if standing.entry is None:
        raise ConflictError(
            f"a sweep must be this server's to be stopped by it, found {name} run without a "
            "server. Stop its driver where it runs (Ctrl-C, or SIGTERM)."
        )
    if standing.stage in ("finished", "failed", "deleting"):
        raise ConflictError(
            f"a sweep must be unfinished to be stopped, found {name} {standing.stage}."
        )
    await run_in_threadpool(queue.stop, backing.ledger.engine, name)
    backing.changed(name)
    return await backing.board.status(name)


@router.post("/{name}/resume", status_code=202, response_model=SweepStatus)
async def resume(name: NameParameter, backing: BackingParameter, caller: CallerParameter) -> Json:
    """Have a sweep driven again that was stopped, has failed or waits after a failure."""
    standing = await _fresh(backing, name)
    if standing.stage == "finished" or standing.record.state == "finished":
        raise ConflictError(
            f"a sweep must be unfinished to be resumed, found {name} finished. To train more "
            f"trials: POST /v1/sweeps/{name}/extend"
        )
    _check_is_managed(standing)
    if standing.stage not in ("queued", "starting", "running"):
        await run_in_threadpool(_want, backing, caller, name, None)
        backing.changed(name)
    return await backing.board.status(name)


@router.post(
    "/{name}/extend",
    status_code=202,
    response_model=SweepStatus,
    responses=answers(400),
)
async def extend(
    name: NameParameter,
    extension: Extension,
    backing: BackingParameter,
    caller: CallerParameter,
) -> Json:
    """Have a sweep's search go on to a larger number of trials, also after its end."""
    standing = await _fresh(backing, name)
    _check_is_managed(standing)
    num_trials = extension.num_trials
    # An extension that no driver has begun with counts as well.
    asked = (standing.entry.num_trials if standing.entry else None) or 0
    if num_trials <= standing.record.num_trials or num_trials < asked:
        present = max(standing.record.num_trials, asked)
        raise UserError(
            f"num_trials must be above the present budget of {present}, found "
            f"{num_trials}. A search can be extended, never shortened."
        )
    await run_in_threadpool(_check_extension, backing, name, num_trials)
    await run_in_threadpool(_want, backing, caller, name, num_trials)
    backing.changed(name)
    return await backing.board.status(name)


@router.delete("/{name}", status_code=204, response_class=Response)
async def delete(
    name: NameParameter,
    backing: BackingParameter,
    caller: CallerParameter,
    confirm: Annotated[str, Query(max_length=64, description="The sweep's name again.")],
) -> None:
    """Delete a sweep everywhere: ledger, MLflow, curves, neurons and checkpoints."""
    if confirm != name:
        raise UserError(
            f"a deletion must be confirmed by the sweep's name, found another one. Ask for "
            f"DELETE /v1/sweeps/{name}?confirm={name}"
        )
    standing = await _fresh(backing, name)
    if standing.stage in _DRIVEN:
        raise ConflictError(
            f"a sweep must be at rest to be deleted, found {name} {standing.stage}. Stop it first: "
            f"POST /v1/sweeps/{name}/stop"
        )
    try:
        # It stays wanted until it is being deleted, when no driver is started any more; one that
        # is started before has the sweep, or is refused it.
        await run_in_threadpool(
            deletion.delete,
            backing.ledger,
            name,
            backing.home,
            check=partial(check_owner, backing.ledger.engine, caller, name),
        )
    finally:
        backing.changed(name)


async def _fresh(backing: Backing, name: str) -> Standing:
    """Where a sweep stands now, not a moment ago."""
    backing.board.forget(name)
    return await backing.board.standing(name)


def _check_is_managed(standing: Standing) -> None:
    """Refuse a sweep that somebody drives without a server, or deletes.

    Raises:
        SweepDeletingError: If it is being deleted.
        ConflictError: If its driver is nobody's that this server started.
    """
    standing.record.check_is_kept()
    if standing.entry is None and standing.record.is_live:
        raise ConflictError(
            f"a sweep must not be at work without a server to be driven by one, found "
            f"{standing.record.name} at work. Stop its driver where it runs."
        )


def _check_extension(backing: Backing, name: str, num_trials: int) -> None:
    record = backing.ledger.sweep(name)
    check_budget(record, num_trials)
    backing.limits.check_extension(spec_of(record), num_trials)


def _want(backing: Backing, caller: Caller, name: str, num_trials: int | None) -> None:
    with backing.submitting:
        check_room(backing, name, caller, queue.entries(backing.ledger.engine))
        queue.want(backing.ledger.engine, name, owner=caller.name, num_trials=num_trials)
