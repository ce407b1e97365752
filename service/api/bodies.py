"""What callers send: no more of it is read than there may be, and it is waited for no longer."""

import asyncio
from collections.abc import Awaitable, Callable

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

# The largest body comes in that time also over a line of 100 kbit/s.
PATIENCE_S = 30.0


async def whole(request: Request, most: int) -> Request:
    """A request whose body has been read to its end: whoever handles it waits for no caller.

    Args:
        request: Of whose body nothing has been read.
        most: How many bytes it may have.

    Raises:
        HTTPException: If it is larger, does not come to its end, or not in time.
    """
    found = Request(request.scope, _limited(request.receive, request, most))
    try:
        async with asyncio.timeout(PATIENCE_S):
            await found.body()
    except TimeoutError as error:
        raise HTTPException(
            408,
            f"a request's body must come within {PATIENCE_S:g} s, found a part of it. Send it "
            "again.",
            # The rest of it is no other request.
            headers={"Connection": "close"},
        ) from error
    except ClientDisconnect as error:
        raise HTTPException(400, "a request's body must come to its end.") from error
    return found


def _limited(receive: Receive, request: Request, most: int) -> Callable[[], Awaitable[Message]]:
    """Receive a body, but no more of it than there may be, whatever its length is said to be."""
    told = request.headers.get("content-length", "0")
    total = int(told) if told.isdecimal() else 0
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive() if total <= most else None
        read += len(message.get("body", b"")) if message else 0
        if message is None or read > most:
            raise HTTPException(
                413,
                f"a request's body must be at most {most:,} bytes, found more. A sweep file of "
                "64 KiB fits in it.",
            )
        return message

    return counted
