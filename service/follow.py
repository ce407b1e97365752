"""Following a sweep from outside its driver, by what the ledger says: from any machine."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from service.display import status_view
from service.errors import LedgerAwayError
from service.ledger import Ledger
from service.outages import Outage
from service.stage_view import stage_in_words, stage_of, waiting_in_words
from service.status import status
from service.verdict import Json

# Seconds between two looks at the least. One takes seconds where there are ten thousand trials, and
# more than a fifth of the time nobody is to be kept busy by who only looks.
PAUSE_S = 2.0
_SHARE = 5


def follow(
    ledger: Ledger,
    name: str,
    show: Callable[[Json], None],
    *,
    pause: Callable[[float], None] = time.sleep,
) -> Json:
    """Show where a sweep stands until no driver is at work on it any more.

    Args:
        ledger: The ledger, open; while it is away it is waited for.
        name: The sweep.
        show: Told where it stands, again and again; see ``showing``.
        pause: Waits so many seconds.

    Returns:
        Where it stands then; see ``status``.

    Raises:
        SweepNotFoundError: If there is none of that name, or it was deleted meanwhile.
    """
    outage = Outage()
    while True:
        began = time.monotonic()
        try:
            found = status(ledger, name)
        except LedgerAwayError as error:
            outage.met(error, "It is waited for.")
            pause(outage.pause_s)
            continue
        outage.is_over()
        if found["state"] != "running":
            return found
        show(found)
        pause(max(PAUSE_S, _SHARE * (time.monotonic() - began)))


@contextmanager
def showing(console: Console) -> Iterator[Callable[[Json], None]]:
    """Take where a sweep stands, again and again, and show it.

    On a terminal it is redrawn in place; elsewhere what changed is a line.

    Args:
        console: Where to draw.
    """
    line = ""

    def draw(found: Json) -> None:
        live.update(status_view(found))

    def tell(found: Json) -> None:
        nonlocal line
        if (now := _line(found)) != line:
            line = now
            console.print(line, markup=False, highlight=False, soft_wrap=True)

    if not console.is_terminal:
        yield tell
        return
    with Live(console=console, transient=True) as live:
        yield draw


def _line(found: Json) -> str:
    counts = found["phases"].get(found["phase"], {})
    known = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    best = found["best"]
    so_far = f"; best so far {best['trial']}, loss {best['loss']:.4f}" if best else ""
    return f"{_stands(found)}{found['phase']}: {known or 'no trials yet'}{so_far}"


def _stands(found: Json) -> str:
    """What is to be told beside the phase; empty of one that is at work."""
    stage, problem = stage_of(found), found.get("problem")
    if stage == "running":
        return "waiting for a worker, " if waiting_in_words(found) else ""
    if stage == "waiting" and problem:
        return f"waiting, since its last driver came to nothing ({problem.splitlines()[-1]}), "
    return f"{stage_in_words(found)}, "
