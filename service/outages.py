"""What is away now and then: when to try it again, and what to say of it."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.errors import AwayError, InterruptedSweepError

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 5.0

logger = logging.getLogger("monosweep")


@contextmanager
def resumable(sweep: str) -> Iterator[None]:
    """End what nobody waits for as an interruption: a sweep goes on when everything answers.

    Raises:
        InterruptedSweepError: Instead of AwayError.
    """
    try:
        yield
    except AwayError as error:
        raise InterruptedSweepError(
            f"{error} Nothing that ended is lost. When it answers: monosweep resume {sweep}"
        ) from error


class Outage:
    """One part of the system, and whether it is away at present. For one thread.

    Args:
        say: Told once when the part goes away, and once when it is back.
        clock: Seconds, from anywhere.
    """

    def __init__(
        self,
        say: Callable[[str], None] = logger.warning,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._part = ""
        self._say = say
        self._clock = clock
        self._since: float | None = None
        self._not_before = 0.0
        self._pause_s = FIRST_PAUSE_S

    @property
    def pause_s(self) -> float:
        """Seconds until it is to be tried again; 0 if it may be tried now."""
        return max(self._not_before - self._clock(), 0.0)

    def met(self, error: AwayError, consequence: str) -> None:
        """It was tried, and was away.

        Args:
            error: What it said.
            consequence: What that means for the work, for people.
        """
        now = self._clock()
        if self._since is None:
            self._since, self._pause_s, self._part = now, FIRST_PAUSE_S, error.part
            self._say(f"{error} {consequence}")
        self._not_before = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def is_over(self) -> None:
        """It was tried, and did what it was asked for."""
        if self._since is not None:
            self._say(f"{self._part} answers again, after {self._clock() - self._since:.0f} s.")
        self._since, self._not_before = None, 0.0
