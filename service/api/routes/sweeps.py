"""The routes that submit, list and show sweeps."""

import operator
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from service.api import submitting
from service.api.access import CallerParameter, SubmitterRoute, ViewerRoute
from service.api.backing import BackingParameter
from service.api.board import Standing
from service.api.models import (
    MAX_PAGE,
    SpecText,
    Submission,
    SweepList,
    SweepStatus,
    Verdict,
)
from service.api.problems import answers
from service.dispatch.stages import Stage
from service.errors import UserError
from service.recorded import verdict_of
from service.simple_word import PATTERN
from service.verdict import Json

viewer_router = APIRouter(
    prefix="/v1/sweeps", route_class=ViewerRoute, tags=["sweeps"], responses=answers()
)
submitter_router = APIRouter(
    prefix="/v1/sweeps", route_class=SubmitterRoute, tags=["sweeps"], responses=answers(403)
)

NameParameter = Annotated[str, Path(description="A sweep's name.", pattern=PATTERN)]
AfterParameter = Annotated[
    str | None, Query(max_length=128, description="What `next` was on the page before.")
]
LimitParameter = Annotated[int, Query(ge=1, le=MAX_PAGE, description="How many at most.")]


@submitter_router.post(
    "",
    status_code=201,
    response_model=SweepStatus,
    responses={
        **answers(400, 408, 409, 413),
        200: {"model": SweepStatus, "description": "The same submission again"},
    },
)
async def submit(
    *,
    request: Request,
    response: Response,
    submission: Submission,
    backing: BackingParameter,
    caller: CallerParameter,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=128,
            pattern=r"^[!-~]+$",
            description="However often it is sent, the same key means the same submission.",
        ),
    ] = None,
) -> Json:
    """Queue a sweep; a driver is started when its turn comes."""
    spec = await run_in_threadpool(submitting.spec_of, submission)
    request.state.sweep = spec.name
    is_new = await run_in_threadpool(
        submitting.submit,
        backing,
        caller,
        spec,
        priority=submission.priority,
        key=idempotency_key,
    )
    if not is_new:
        response.status_code = 200
    backing.changed(spec.name)
    response.headers["Location"] = f"/v1/sweeps/{spec.name}"
    return await backing.board.status(spec.name)


@viewer_router.get("", response_model=SweepList)
async def list_sweeps(
    *,
    backing: BackingParameter,
    stage: Annotated[Stage | None, Query(description="Only those at this stage.")] = None,
    owner: Annotated[str | None, Query(max_length=64, description="Only those of this.")] = None,
    limit: LimitParameter = 50,
    after: AfterParameter = None,
    order: Annotated[
        Literal["oldest", "newest"], Query(description="Whose submission goes first.")
    ] = "oldest",
) -> Json:
    """Sweeps, oldest submission first, or the other way round."""
    roster = (await backing.board.roster()).values()
    ordered = roster if order == "oldest" else reversed(roster)
    behind = _after(ordered, after, operator.gt if order == "oldest" else operator.lt)
    asked = [one for one in behind if _is_asked(one, stage, owner)]
    page, more = asked[:limit], asked[limit:]
    found = await backing.board.statuses([one.record.name for one in page])
    return {"sweeps": found, "next": _cursor(page[-1]) if more else None}


@viewer_router.get("/{name}", response_model=SweepStatus, responses=answers(404))
async def show_sweep(name: NameParameter, backing: BackingParameter) -> Json:
    """Where a sweep stands."""
    return await backing.board.status(name)


@viewer_router.get("/{name}/best", response_model=Verdict, responses=answers(404))
def show_best(name: NameParameter, backing: BackingParameter) -> dict[str, Any]:
    """The verdict, or what stands for it while there is none."""
    return dict(verdict_of(backing.ledger.sweep(name)))


@viewer_router.get("/{name}/spec", responses=answers(404))
def show_spec(name: NameParameter, backing: BackingParameter) -> SpecText:
    """The sweep's file as it was submitted."""
    return SpecText(spec=backing.ledger.sweep(name).spec_text)


def _cursor(one: Standing) -> str:
    """Where a sweep stands in the list, also once it is gone."""
    since, name = one.age
    return f"{since!r}/{name}"


def _after(
    standings: Iterable[Standing], cursor: str | None, is_behind: Callable[[Any, Any], bool]
) -> list[Standing]:
    if cursor is None:
        return list(standings)
    since, _, name = cursor.partition("/")
    try:
        place = (float(since), name)
    except ValueError:
        raise UserError(
            f"after must be what next was on the page before, found {cursor!r}. Leave it out to "
            "begin."
        ) from None
    return [one for one in standings if is_behind(one.age, place)]


def _is_asked(one: Standing, stage: Stage | None, owner: str | None) -> bool:
    is_owners = owner is None or (one.entry is not None and one.entry.owner == owner)
    return is_owners and (stage is None or one.stage == stage)
