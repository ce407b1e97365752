"""The API as an ASGI app."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.api import problems
from service.api.backing import Backing
from service.api.board import Board, Looks
from service.api.guard import OPEN, Guard
from service.api.limits import Limits
from service.api.making import Maker
from service.api.metrics import Metrics
from service.api.pages.app import Beside, create_pages
from service.api.pages.links import Link
from service.api.pages.shaping import Shaping
from service.api.readiness import readiness
from service.api.routes import changes, events, files, server, sweeps, trials
from service.dispatch.jobs import Jobs
from service.home import Home
from service.ledger import Ledger

# Anybody may ask for it, and every part is asked.
_READINESS_AGE_S = 5.0
_ROUTERS = (
    server.open_router,
    server.viewer_router,
    server.admin_router,
    sweeps.viewer_router,
    sweeps.submitter_router,
    changes.router,
    trials.router,
    events.router,
    files.router,
)


def create_app(
    ledger: Ledger,
    home: Home,
    *,
    jobs: Jobs | None,
    wake: Callable[[], None],
    limits: Limits,
    needs_token: bool = True,
    metrics: Metrics | None = None,
    links: tuple[Link, ...] = (),
) -> FastAPI:
    """The API over a ledger, and the pages over the API.

    Args:
        ledger: The open ledger, which stays the caller's to close.
        home: Where its sweeps write.
        jobs: The drivers' jobs, or None without a cluster.
        wake: Tells the reconciler that there is something new; must not block.
        limits: What callers may ask for.
        needs_token: Whether a token is asked for; without, everybody is an admin.
        metrics: Where to count, together with others; of the app alone if None.
        links: Other places that the pages link to.
    """
    backing = Backing(
        ledger=ledger,
        home=home,
        jobs=jobs,
        wake=wake,
        limits=limits,
        board=Board(ledger, jobs),
        metrics=metrics or Metrics(),
        readiness=Looks(lambda _: readiness(ledger, home, jobs), _READINESS_AGE_S),
        maker=Maker(home),
    )
    app = _routes_over(backing)
    app.state.links = links
    # The last one is around the others.
    app.state.pages = create_pages(backing, links)
    app.add_middleware(Beside, pages=app.state.pages)
    app.add_middleware(Guard, backing=backing, needs_token=needs_token)
    app.add_middleware(Shaping)
    return app


def _routes_over(backing: Backing) -> FastAPI:
    """The API alone, which anybody could call."""
    # Its own pages load programs from elsewhere.
    app = FastAPI(
        title="monosweep",
        version=version("monosweep"),
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    app.state.backing = backing
    problems.install(app)
    for router in _ROUTERS:
        app.include_router(router)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """``/openapi.json``: errors are problems, and all but the open calls bear a token."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            routes=app.routes,
            description="Sweeps over toy models of monosemanticity, queued and followed.",
        )
        schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                if path not in OPEN:
                    operation["security"] = [{"token": []}]
                _describe_problems(operation["responses"])
        app.openapi_schema = schema
    return app.openapi_schema


def _describe_problems(responses: dict[str, Any]) -> None:
    problem = {"$ref": "#/components/schemas/Problem"}
    for answer in responses.values():
        content = answer.get("content", {})
        if content.get("application/json", {}).get("schema") == problem:
            answer["content"] = {problems.MEDIA_TYPE: {"schema": problem}}
