"""The cookie that holds a session's secret."""

from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.responses import Response

from service.ledger.sessions import LIFETIME_S

NAME = "monosweep_session"


def session_of(headers: Headers) -> str | None:
    """The secret that a request bears, or None."""
    return cookie_parser(headers.get("cookie", "")).get(NAME)


def give(response: Response, request: Request, secret: str) -> None:
    """Have the browser keep a session's secret: for us, out of reach of any program in a page."""
    response.set_cookie(
        NAME,
        secret,
        max_age=LIFETIME_S,
        httponly=True,
        samesite="strict",
        # As a proxy says, if the server was told to trust it.
        secure=request.url.scheme == "https",
    )


def take(response: Response) -> None:
    """Have the browser forget it."""
    response.delete_cookie(NAME, httponly=True, samesite="strict")
