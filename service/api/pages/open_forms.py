"""Routes for everybody that take a form: no more of it is read than there may be."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response

from service.api import bodies
from service.api.access import OpenRoute
from service.api.backing import backing_of


class FormRoute(OpenRoute):
    """Takes a form from anybody."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Read no more than there may be, and wait for it no longer."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            return await handle(await bodies.whole(request, backing_of(request).limits.body_bytes))

        return guarded
