"""Where a token goes in and a session comes out, and where it ends."""

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from service.api.access import OpenRoute, ViewerRoute
from service.api.backing import BackingParameter
from service.api.pages import cookie
from service.api.pages.forms import form_of
from service.api.pages.open_forms import FormRoute
from service.api.pages.paths import HOME, LOGIN, SESSION, after_login
from service.api.pages.rendering import page
from service.ledger import sessions
from service.ledger.tokens import Caller

open_router = APIRouter(route_class=FormRoute)
router = APIRouter(route_class=ViewerRoute)
# The guard lets in whoever has a session, of whatever role; many may be asked for at once.
session_router = APIRouter(route_class=OpenRoute)


@open_router.get(LOGIN)
async def show_login(request: Request) -> Response:
    """The form; whoever needs none, or is in already, is led on."""
    wanted = after_login(request.query_params.get("next", HOME))
    if _caller(request) is not None:
        return RedirectResponse(wanted, 303)
    return page(request, "login.html", wanted=wanted, is_wrong=False)


@open_router.post(LOGIN)
async def login(request: Request, backing: BackingParameter) -> Response:
    """Begin a session for whoever bears a good token."""
    form = await form_of(request)
    wanted = after_login(form.get("next", HOME))
    token = form.get("token", "").strip()
    begun = await run_in_threadpool(sessions.begin, backing.ledger.engine, token)
    if begun is None:
        return page(request, "login.html", status=401, wanted=wanted, is_wrong=True)
    secret, caller = begun
    # For the audit: from here on it is known who did this.
    request.state.caller = caller
    answer = RedirectResponse(wanted, 303)
    cookie.give(answer, request, secret)
    return answer


@session_router.get(SESSION)
async def session() -> Response:
    """Tell a proxy that whoever asks it has a session; whoever has none is led to the login."""
    return Response(status_code=204)


@router.post("/logout")
async def logout(request: Request, backing: BackingParameter) -> Response:
    """End a session, here and in the ledger."""
    secret = cookie.session_of(request.headers)
    if secret is not None:
        await run_in_threadpool(sessions.end, backing.ledger.engine, secret)
    answer = RedirectResponse(LOGIN, 303)
    cookie.take(answer)
    return answer


def _caller(request: Request) -> Caller | None:
    return request.scope["state"].get("caller")  # type: ignore[no-any-return]
