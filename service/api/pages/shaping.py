"""What every page's answer has in common: strict headers, problems as pages, the way to log in."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.models import Problem
from service.api.pages.paths import LOGIN, is_page, login_for
from service.api.pages.rendering import page
from service.api.problems import MEDIA_TYPE

# Nothing of a page comes from elsewhere, is sent elsewhere, or is shown inside of another one.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: browsers would send forms of our own with no origin to tell them by.
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_NEXT_IS_LOST = (
    "Your session has ended, and nothing was changed. Log in, in another tab if you have typed "
    "something here, then come back and send it again."
)


class Shaping:
    """Around all that answers pages, the guard included; leaves the API as it is.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; a problem is held back until all of it is known."""
        if scope["type"] != "http" or not is_page(scope["path"]):
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def shaped(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if headers.get("content-type") == MEDIA_TYPE:
                    start = message
                    return
            if start is None:
                await send(message)
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                answer = _as_page(scope, start, body)
                await answer(scope, receive, send)

        await self._app(scope, receive, shaped)


def _as_page(scope: Scope, start: Message, body: bytes) -> Response:
    """A problem for people, with the headers that it came with."""
    request = Request(scope)
    problem = Problem.model_validate_json(body)
    answer: Response
    if problem.status == 401 and request.method in ("GET", "HEAD"):
        query = f"?{request.url.query}" if request.url.query else ""
        answer = RedirectResponse(login_for(request.url.path + query), 303)
    else:
        if problem.status == 401:
            problem = problem.model_copy(update={"detail": _NEXT_IS_LOST})
        answer = page(request, "problem.html", status=problem.status, problem=problem, login=LOGIN)
    for name, value in Headers(raw=start["headers"]).items():
        if name not in ("content-type", "content-length", "www-authenticate"):
            answer.headers[name] = value
    return answer
