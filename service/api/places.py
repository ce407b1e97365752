"""How much of one kind a caller may have going on at a time."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from service.api.problems import TooManyCallsError


@contextmanager
def place(
    taken: Counter[str], caller: str, most: int, *, what: str, retry_s: float
) -> Iterator[None]:
    """One of the places that a caller has, taken until left. For one thread: the event loop's.

    Args:
        taken: By caller; names of those who have taken none are left out.
        caller: Its name.
        most: How many it has.
        what: What it does with them, for the message.
        retry_s: Seconds until it may ask again.

    Raises:
        TooManyCallsError: If none is free.
    """
    if taken[caller] >= most:
        raise TooManyCallsError(
            f"a caller may {what} at a time, found as many. End one, or ask again later.", retry_s
        )
    taken[caller] += 1
    try:
        yield
    finally:
        taken[caller] -= 1
        if not taken[caller]:
            del taken[caller]
