"""The pages as an app of their own beside the API's."""

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import problems
from service.api.backing import Backing
from service.api.pages import changing, login, looking, submitting
from service.api.pages.links import Link
from service.api.pages.paths import is_page


def create_pages(backing: Backing, links: tuple[Link, ...]) -> FastAPI:
    """The pages over what the API stands on."""
    pages = FastAPI(openapi_url=None, redirect_slashes=False)
    pages.state.backing = backing
    pages.state.links = links
    problems.install(pages)
    for router in (
        login.open_router,
        login.router,
        login.session_router,
        looking.router,
        submitting.router,
        changing.router,
    ):
        pages.include_router(router)
    pages.mount("/static", StaticFiles(packages=[("service.api.pages", "static")]))
    return pages


class Beside:
    """Hands pages to their app, and all else to the API.

    Args:
        app: The API.
        pages: The pages.
    """

    def __init__(self, app: ASGIApp, pages: ASGIApp) -> None:
        self._app = app
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        is_pages = scope["type"] == "http" and is_page(scope["path"])
        await (self._pages if is_pages else self._app)(scope, receive, send)
