"""One whole sweep, and how long its driver was busy with keeping it: a program of its own.

``timed_sweep.py SPEC`` runs the sweep in the home that the environment names and prints JSON:
seconds from the first cohort handed out to the last result kept, and seconds in each call to the
ledger by thread, waiting for locks and for the server included.
"""

import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from typing import Any

from service.home import Home
from service.ledger import Ledger, Writer, lease
from service.life import Life
from service.spec import load_spec
from service.sweep import run
from service.tidying import Tidying

DRIVER = "MainThread"


class Stopwatch:
    """Seconds and calls by thread and function; what a call calls in turn is counted once."""

    def __init__(self) -> None:
        self.seconds: dict[tuple[str, str], float] = defaultdict(float)
        self.calls: dict[tuple[str, str], int] = defaultdict(int)
        self.began_at: float | None = None
        self.ended_at = 0.0
        self._inside = threading.local()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its calls timed."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if getattr(self._inside, "is_set", False):
                return function(*args, **kwargs)
            self._inside.is_set = True
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                key = (threading.current_thread().name, name)
                self.seconds[key] += time.perf_counter() - began
                self.calls[key] += 1
                self._inside.is_set = False

        return call

    def time_methods(self, owner: type) -> None:
        """Time all public methods of a class."""
        for name, found in list(vars(owner).items()):
            if callable(found) and not name.startswith("_") and name != "close":
                setattr(owner, name, self.timed(f"{owner.__name__}.{name}", found))

    def mark(self, owner: type, name: str) -> None:
        """The sweep's training lasts from the first to the last call of such methods."""
        function = getattr(owner, name)

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.began_at = self.began_at or time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.ended_at = time.perf_counter()

        setattr(owner, name, call)


def timed_sweep(spec_path: str) -> dict[str, Any]:
    """Run the sweep; what is printed."""
    watch = Stopwatch()
    watch.time_methods(Writer)
    watch.time_methods(Ledger)
    watch.time_methods(Tidying)
    lease.renew = watch.timed("renew", lease.renew)
    watch.mark(Life, "next_cohort")
    watch.mark(Life, "ended")
    began = time.perf_counter()
    run(load_spec(spec_path), Home.from_environment())
    assert watch.began_at is not None
    return {
        "total_s": time.perf_counter() - began,
        "training_s": watch.ended_at - watch.began_at,
        "calls": [
            {"thread": thread, "call": call, "num": watch.calls[thread, call], "s": seconds}
            for (thread, call), seconds in sorted(watch.seconds.items(), key=lambda one: -one[1])
        ],
    }


if __name__ == "__main__":
    print(json.dumps(timed_sweep(sys.argv[1])))
