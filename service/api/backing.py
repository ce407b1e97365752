"""What the routes stand on: the ledger, the cluster's jobs, and what they share."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from service.api.board import Board, Looks
from service.api.limits import Limits
from service.api.making import Maker
from service.api.metrics import Metrics
from service.api.models import Readiness
from service.dispatch.jobs import Jobs
from service.home import Home
from service.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class Backing:
    """What every route may use; made once for an app.

    Attributes:
        ledger: The open ledger.
        home: Where sweeps write.
        jobs: The drivers' jobs, or None without a cluster.
        wake: Tells the reconciler that there is something new.
        limits: What callers may ask for.
        board: Where sweeps stand.
        metrics: What is counted.
        readiness: Which parts of the system answer.
        maker: Makes pages and tables.
        closing: Set when the server is to end: open streams end then.
        submitting: Held by who looks whether there is room for a sweep, and puts it there.
        streams: Open event streams by caller.
        calls: Calls that are being worked on, by caller.
    """

    ledger: Ledger
    home: Home
    jobs: Jobs | None
    wake: Callable[[], None]
    limits: Limits
    board: Board
    metrics: Metrics
    readiness: Looks[None, Readiness]
    maker: Maker
    closing: threading.Event = field(default_factory=threading.Event)
    submitting: threading.Lock = field(default_factory=threading.Lock)
    streams: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)

    def changed(self, name: str) -> None:
        """A sweep's place in the queue was changed; in the event loop's thread."""
        self.board.forget(name)
        self.wake()


def backing_of(request: Request) -> Backing:
    """The backing of the app that a request is for."""
    backing = request.app.state.backing
    assert isinstance(backing, Backing)
    return backing


BackingParameter = Annotated[Backing, Depends(backing_of)]
