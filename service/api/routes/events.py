"""The route that follows a sweep: server-sent events, as it goes on."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.api.access import CallerParameter, ViewerRoute, is_still_let_in
from service.api.backing import Backing, BackingParameter
from service.api.places import place
from service.api.problems import TooManyCallsError, answer_of, answers
from service.api.routes.sweeps import NameParameter
from service.errors import LedgerAwayError, SweepNotFoundError
from service.verdict import Json

router = APIRouter(
    prefix="/v1/sweeps", route_class=ViewerRoute, tags=["sweeps"], responses=answers(404)
)

# Between two looks at what everybody who follows shares; a stream ends as quickly with its server.
_PAUSE_S = 0.25
# Proxies close what says nothing for long.
HEARTBEAT_S = 15.0


@router.get(
    "/{name}/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "`event: status` with the sweep's JSON whenever it has changed, "
            '`event: end` with `{"stage": ...}` once nothing more happens by itself (`gone` where '
            "the sweep was deleted), and comments meanwhile.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def follow(
    request: Request, name: NameParameter, backing: BackingParameter, caller: CallerParameter
) -> StreamingResponse:
    """Follow a sweep until it is at rest."""
    # Asked before the stream begins, so that what is away is still an answer of its own.
    await backing.board.status(name)
    return _Stream(_events(request, backing, name), backing, caller.name)


class _Stream(StreamingResponse):
    """Events, which have one of their caller's places for as long as somebody reads them.

    It is taken where nothing comes between the look and the taking, and where it is given back
    however the stream ends.
    """

    def __init__(self, events: AsyncIterator[str], backing: Backing, caller: str) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._backing = backing
        self._caller = caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        most = self._backing.limits.streams
        try:
            with place(
                self._backing.streams,
                self._caller,
                most,
                what=f"follow {most} sweeps",
                retry_s=HEARTBEAT_S,
            ):
                await super().__call__(scope, receive, send)
        except TooManyCallsError as error:
            await answer_of(error)(scope, receive, send)


async def _events(request: Request, backing: Backing, name: str) -> AsyncIterator[str]:
    told: Json | None = None
    said_at = let_in_at = time.monotonic()
    # To be told by sending alone, that a client has left, takes until the next heartbeat.
    while not backing.closing.is_set() and not await request.is_disconnected():
        found = told
        try:
            if time.monotonic() - let_in_at >= HEARTBEAT_S:
                # A token that is revoked is good no more, for what it has opened either.
                if not await is_still_let_in(request):
                    return
                let_in_at = time.monotonic()
            found = await backing.board.status(name)
            if _is_at_rest(found):
                # Another server on the same ledger may have had it resumed since: whoever is told
                # of an end looks no more.
                backing.board.forget(name)
                found = await backing.board.status(name)
        except SweepNotFoundError:
            yield event("end", {"stage": "gone"})
            return
        except LedgerAwayError:
            pass  # waited for, as by all who follow a sweep
        if found is not None and found != told:
            told, said_at = found, time.monotonic()
            yield event("status", found)
            if _is_at_rest(found):
                yield event("end", {"stage": found["stage"]})
                return
        elif time.monotonic() - said_at >= HEARTBEAT_S:
            said_at = time.monotonic()
            yield ": at work\n\n"
        await asyncio.sleep(_PAUSE_S)


def _is_at_rest(found: Json) -> bool:
    """Whether nothing more happens to a sweep by itself, for all that this server knows."""
    if found["stage"] == "unmanaged":
        return bool(found["state"] != "running")
    return found["stage"] in ("finished", "failed", "stopped")


def event(kind: str, data: Json) -> str:
    """An event as it is sent: JSON has no line breaks of its own."""
    return f"event: {kind}\ndata: {json.dumps(data, allow_nan=False)}\n\n"
