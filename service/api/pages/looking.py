"""The pages that show: all sweeps, one sweep, its driver's log, and what is made of it."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from service.api.access import CallerParameter, ViewerRoute, may_change
from service.api.backing import BackingParameter
from service.api.board import STAGES
from service.api.models import MAX_PAGE
from service.api.pages import words
from service.api.pages.deeds import deeds_for
from service.api.pages.paths import HOME
from service.api.pages.rendering import page
from service.api.routes import files, sweeps
from service.api.routes.sweeps import AfterParameter, NameParameter
from service.dispatch.stages import Stage
from service.place import Table
from service.verdict import Json

router = APIRouter(route_class=ViewerRoute)

_NUM_SHOWN = 50
_NUM_LINES = 500
# A page that somebody made of what others submitted: shown, but nothing in it is ever run.
_REPORTS_POLICY = (
    "sandbox allow-top-navigation-by-user-activation; default-src 'none'; "
    "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


@router.get(HOME)
async def show_sweeps(
    *,
    request: Request,
    backing: BackingParameter,
    stage: Annotated[Stage | Literal[""], Query()] = "",
    owner: Annotated[str, Query(max_length=64)] = "",
    after: AfterParameter = None,
) -> Response:
    """All sweeps, the newest first."""
    listed = await sweeps.list_sweeps(
        backing=backing,
        stage=stage or None,
        owner=owner or None,
        limit=min(_NUM_SHOWN, MAX_PAGE),
        after=after,
        order="newest",
    )
    roster = await backing.board.roster()
    owners = sorted({one.entry.owner for one in roster.values() if one.entry})
    return page(
        request,
        "sweeps.html",
        rows=[_row(found) for found in listed["sweeps"]],
        following=listed["next"],
        stages=STAGES,
        owners=owners,
        stage=stage,
        owner=owner,
        after=after,
        num_sweeps=len(roster),
    )


@router.get("/sweeps/{name}")
async def show_sweep(
    name: NameParameter, request: Request, backing: BackingParameter, caller: CallerParameter
) -> Response:
    """Where a sweep stands, and what may be done with it."""
    found = await backing.board.status(name)
    standing = await backing.board.standing(name)
    has_verdict = found["verdict"] is not None
    return page(
        request,
        "sweep.html",
        **_row(found),
        phases=words.phases(found),
        entry=standing.entry,
        record=await run_in_threadpool(backing.ledger.sweep, name),
        verdict=await run_in_threadpool(sweeps.show_best, name, backing) if has_verdict else None,
        deeds=deeds_for(standing) if may_change(caller, standing.entry) else frozenset(),
    )


@router.get("/sweeps/{name}/log")
async def show_log(name: NameParameter, request: Request, backing: BackingParameter) -> Response:
    """What a sweep's last driver printed."""
    said = await run_in_threadpool(files.logs, name, backing, _NUM_LINES)
    found = await backing.board.status(name)
    text = bytes(said.body).decode()
    return page(request, "log.html", **_row(found), text=text, num_lines=_NUM_LINES)


@router.get("/sweeps/{name}/report")
async def show_report(name: NameParameter, request: Request, backing: BackingParameter) -> Response:
    """A sweep's report, made now."""
    answer = await files.report(name, request, backing)
    answer.headers["Content-Security-Policy"] = _REPORTS_POLICY
    return answer


@router.get("/sweeps/{name}/export/{table}")
async def export(
    name: NameParameter,
    table: Table,
    request: Request,
    backing: BackingParameter,
) -> Response:
    """A table of a sweep, made now."""
    return await files.export(name, table, request, backing)


@router.get("/sweeps/")
async def show_no_sweep() -> Response:
    """All sweeps, for whoever leaves a name out."""
    return RedirectResponse(HOME, 303)


def _row(found: Json) -> dict[str, Any]:
    """What every page shows of a sweep."""
    return {
        "found": found,
        "sentence": words.sentence(found),
        "num_ended": words.num_ended(found["trials"]),
        "goals": words.goals(found),
    }
