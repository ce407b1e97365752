"""How often one caller may ask: a bucket of calls that fills again as time passes."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

# Those who have not asked for longest are forgotten first; a full bucket is like none.
_MOST_KNOWN = 10_000


class Rates:
    """Buckets of calls, one for each caller. For one thread: the event loop's.

    Args:
        per_s: Calls that come back each second.
        at_once: Calls that a full bucket holds.
        clock: Seconds, from anywhere.
    """

    def __init__(
        self, per_s: float, at_once: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.per_s = per_s
        self._at_once = at_once
        self._clock = clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, caller: Hashable) -> float:
        """Take a call from a caller's bucket: 0, or seconds until there is one, and none taken."""
        now = self._clock()
        left, since = self._buckets.pop(caller, (self._at_once, now))
        left = min(left + (now - since) * self.per_s, self._at_once)
        wait_s = max(1.0 - left, 0.0) / self.per_s
        self._buckets[caller] = (left if wait_s else left - 1.0, now)
        if len(self._buckets) > _MOST_KNOWN:
            self._buckets.popitem(last=False)
        return wait_s

    def give_back(self, caller: Hashable) -> None:
        """Undo a call that was taken."""
        left, since = self._buckets.get(caller, (self._at_once, self._clock()))
        self._buckets[caller] = (min(left + 1.0, self._at_once), since)
