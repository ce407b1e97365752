"""What a caller may do, decided before anything that it sent is read, and again once all is."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, ClassVar

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as PlainRequest

from service.api import bodies
from service.api.backing import Backing, backing_of
from service.api.board import not_found
from service.api.guard import LOOKING
from service.api.places import place
from service.api.problems import ForbiddenError, UnauthorizedError
from service.errors import SweepNotFoundError
from service.ledger import queue
from service.ledger.queue import Entry
from service.ledger.tokens import Caller, Role
from service.simple_word import is_simple_word

_ARTICLES: dict[Role, str] = {"viewer": "a", "submitter": "a", "admin": "an"}
# Until a caller whose calls are all being worked on may ask for more.
_RETRY_S = 1.0


class OpenRoute(APIRoute):
    """For everybody, also without a token."""


class GuardedRoute(APIRoute):
    """For callers of a role at least, on sweeps that are there."""

    role: ClassVar[Role]
    # Whether less than an admin may do it with sweeps of its own only.
    is_owners: ClassVar[bool] = False

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Check role and ownership, both before and after a body is read that changes something."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            backing = backing_of(request)
            await self._check(request, backing)
            most = backing.limits.calls_at_work
            # A stream's place is free again as soon as it begins: it has one of another kind.
            with place(
                backing.calls,
                caller_of(request).name,
                most,
                what=f"have {most} calls worked on",
                retry_s=_RETRY_S,
            ):
                if request.method in LOOKING:
                    return await handle(request)
                read = await bodies.whole(request, backing.limits.body_bytes)
                # Whoever held the last of it back may have lost meanwhile what they had.
                if not await is_still_let_in(request):
                    raise UnauthorizedError
                await self._check(request, backing)
                return await handle(read)

        return guarded

    async def _check(self, request: Request, backing: Backing) -> None:
        caller = caller_of(request)
        if not caller.may(self.role):
            raise ForbiddenError(
                f"this call must be made by {_ARTICLES[self.role]} {self.role} or more, found the "
                f"{caller.role} {caller.name}. Ask an admin for a token of that role."
            )
        name = request.path_params.get("name")
        if name is None:
            return
        if not is_simple_word(name):
            raise SweepNotFoundError(not_found(name[:64]))
        await backing.board.standing(name)
        if self.is_owners:
            await run_in_threadpool(check_owner, backing.ledger.engine, caller, name)


class ViewerRoute(GuardedRoute):
    """For whoever bears a good token."""

    role = "viewer"


class SubmitterRoute(GuardedRoute):
    """For whoever may submit sweeps."""

    role = "submitter"


class OwnerRoute(GuardedRoute):
    """For whoever submitted the sweep that the path names, and for admins."""

    role = "submitter"
    is_owners = True


class AdminRoute(GuardedRoute):
    """For admins."""

    role = "admin"


def caller_of(request: PlainRequest) -> Caller:
    """Who asks, as the guard found out."""
    caller = request.scope["state"]["caller"]
    assert isinstance(caller, Caller)
    return caller


async def is_still_let_in(request: PlainRequest) -> bool:
    """Whether what the request bore is good now, as it was when the request came."""
    return bool(await request.scope["state"]["is_still_let_in"]())


def may_change(caller: Caller, entry: Entry | None) -> bool:
    """Whether somebody may stop, resume, extend and delete the sweep of an entry."""
    is_owner = entry is not None and entry.owner == caller.name
    return caller.may("admin") or (is_owner and caller.may("submitter"))


def check_owner(engine: Engine, caller: Caller, name: str) -> None:
    """Make sure that somebody may change a sweep.

    Whose it is now, not a moment ago: the name may have been deleted and taken since.

    Raises:
        ForbiddenError: If it is another's.
    """
    entry = queue.entry(engine, name)
    if not may_change(caller, entry):
        owner = entry.owner if entry else None
        raise ForbiddenError(
            f"this call must be made by who submitted {name}, or by an admin, found "
            f"{caller.name}; {name} is {owner or 'nobody'}'s."
        )


CallerParameter = Annotated[Caller, Depends(caller_of)]
