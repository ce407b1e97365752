"""The routes that hand out what is made of a sweep: tables, the report; and its driver's log."""

from contextlib import ExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from service.api import making
from service.api.access import ViewerRoute, caller_of
from service.api.backing import Backing, BackingParameter
from service.api.problems import answers
from service.api.routes.sweeps import NameParameter
from service.bounds import MOST_LOG_LINES
from service.errors import ClusterAwayError
from service.home import without_password
from service.ledger import queue
from service.place import Table

# For the metrics alone, by the usual number: nobody hears it.
_LEFT = 499
PARQUET = "application/vnd.apache.parquet"

router = APIRouter(
    prefix="/v1/sweeps", route_class=ViewerRoute, tags=["files"], responses=answers(404, 409)
)


def _file(media_type: str) -> dict[int | str, dict[str, Any]]:
    schema = {"type": "string", "contentMediaType": media_type}
    return {200: {"description": "The file", "content": {media_type: {"schema": schema}}}}


@router.get("/{name}/export/{table}", response_class=FileResponse, responses=_file(PARQUET))
async def export(
    name: NameParameter,
    table: Table,
    request: Request,
    backing: BackingParameter,
) -> Response:
    """A table of a sweep, as Parquet."""
    words = ["export", name, "--table", table, "--output", "."]
    return await _made(backing, request, name, words, f"{table}.parquet")


@router.get("/{name}/report", response_class=FileResponse, responses=_file("text/html"))
async def report(name: NameParameter, request: Request, backing: BackingParameter) -> Response:
    """A sweep's story, from question to verdict, as one page with its figures."""
    file = f"{name}.html"
    words = ["report", name, "--output", file]
    return await _made(backing, request, name, words, file)


@router.get(
    "/{name}/logs",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def logs(
    name: NameParameter,
    backing: BackingParameter,
    lines: Annotated[int, Query(ge=1, le=MOST_LOG_LINES, description="How many at most.")] = 200,
) -> Response:
    """What the driver printed that was started last."""
    entry = queue.entry(backing.ledger.engine, name)
    if entry is None or entry.job_id is None:
        return PlainTextResponse("")
    if backing.jobs is None:
        raise ClusterAwayError("no cluster was named. monosweep serve --ray URL")
    return PlainTextResponse(without_password(backing.jobs.log(entry.job_id, lines)))


async def _made(
    backing: Backing, request: Request, name: str, words: list[str], file: str
) -> Response:
    """A file that a command makes in a folder of its own, which goes with the answer."""
    record = await run_in_threadpool(backing.ledger.sweep, name)
    record.check_is_kept()
    folder = making.new_folder()
    with ExitStack() as unless_made:
        unless_made.callback(making.remove, folder)
        is_made = await backing.maker.make(
            words, folder, caller=caller_of(request).name, has_left=request.is_disconnected
        )
        if not is_made:
            return Response(status_code=_LEFT)
        unless_made.pop_all()
    is_table = file.endswith(".parquet")
    return FileResponse(
        folder / file,
        media_type=PARQUET if is_table else "text/html",
        filename=file if is_table else None,
        background=BackgroundTask(making.remove, folder),
    )
