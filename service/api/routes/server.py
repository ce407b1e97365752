"""The routes about the server itself: health, readiness, who asks, metrics, audit."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from starlette.concurrency import run_in_threadpool

from service.api import metrics
from service.api.access import AdminRoute, CallerParameter, OpenRoute, ViewerRoute
from service.api.backing import BackingParameter
from service.api.models import DeedAnswer, DeedList, Health, Readiness, WhoAmI
from service.api.problems import answers
from service.ledger import audit

open_router = APIRouter(prefix="/v1", route_class=OpenRoute, tags=["server"])
viewer_router = APIRouter(
    prefix="/v1", route_class=ViewerRoute, tags=["server"], responses=answers()
)
admin_router = APIRouter(
    prefix="/v1", route_class=AdminRoute, tags=["server"], responses=answers(403)
)


@open_router.get("/health")
async def health() -> Health:
    """Whether the server is at work."""
    return Health()


@open_router.get("/ready", responses={503: {"model": Readiness, "description": "Not ready"}})
async def ready(response: Response, backing: BackingParameter) -> Readiness:
    """Whether sweeps can be run, and which parts of the system answer."""
    found = await backing.readiness.at(None)
    if not found.ready:
        response.status_code = 503
    return found


@viewer_router.get("/whoami")
async def whoami(caller: CallerParameter) -> WhoAmI:
    """Whose token it is, and what it may do."""
    return WhoAmI(name=caller.name, role=caller.role)


@viewer_router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def read_metrics(backing: BackingParameter) -> Response:
    """What Prometheus reads."""
    roster = await backing.board.roster()
    text = await run_in_threadpool(backing.metrics.text, roster.values())
    return Response(text, media_type=metrics.MEDIA_TYPE)


@admin_router.get("/audit")
def read_audit(
    backing: BackingParameter, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> DeedList:
    """Who asked for what, and what came of it, the newest first."""
    found = audit.deeds(backing.ledger.engine, limit)
    return DeedList(deeds=[DeedAnswer(**vars(deed)) for deed in found])
