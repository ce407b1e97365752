"""Ending a sweep in good order: a first SIGTERM or Ctrl-C asks for it, a second one leaves at once.

What is in the ledger is whole at any moment, so that leaving at once loses no more than a kill.
Before a sweep listens, and after it did, the first one leaves.

Asking only sets a flag, which the scheduler looks at. An exception raised by a signal would come
at any line, in the middle of other libraries' start-up too, some of which swallow it.
"""

import atexit
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from service.errors import InterruptedSweepError

STOPPING = (
    "Stopping after a checkpoint of what is at work. A second Ctrl-C (or SIGTERM) leaves at once."
)
AGAIN = "Interrupted. Give the same command again."

_asked = threading.Event()
_sweep = "NAME"
_parting = AGAIN
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def say(line: str) -> None:
    """A line to standard error, also in a handler of signals.

    Past Python's streams, which whoever was interrupted may be writing to.
    """
    with suppress(OSError):
        os.write(2, f"{line}\n".encode())


_acknowledge: Callable[[str], None] = say


def ask() -> None:
    """End the sweep that is going on; from any thread."""
    _asked.set()


def is_asked() -> bool:
    """Whether somebody asked for the end."""
    return _asked.is_set()


def is_asked_within(seconds: float) -> bool:
    """Whether somebody asked for the end, or does in so long."""
    return _asked.wait(seconds)


def how_to_resume() -> str:
    """The command that goes on with the sweep that signals ask the end of."""
    return f"monosweep resume {_sweep}"


def pause(seconds: float) -> None:
    """Wait so long.

    Raises:
        InterruptedSweepError: If somebody asked for the end before or meanwhile.
    """
    if _asked.wait(seconds):
        raise InterruptedSweepError(f"Interrupted while waiting. Go on with: {how_to_resume()}")


def _leave(said: str) -> NoReturn:
    say(said)
    os._exit(InterruptedSweepError.exit_code)


def _on_signal(_signum: int, _frame: object) -> None:
    if is_asked():
        _leave(f"Left at once. Nothing that ended is lost. Go on with: {how_to_resume()}")
    ask()
    _acknowledge(STOPPING)


def _on_early_signal(_signum: int, _frame: object) -> None:
    _leave(_parting)


def _on_signal_to_raise(_signum: int, _frame: object) -> None:
    raise KeyboardInterrupt


def leave_when_signalled() -> None:
    """From now on, wherever no sweep listens, let a signal end the process with a word."""
    _take(_on_early_signal)
    # The interpreter's own last moments, when no handler can run any more.
    atexit.register(_take, signal.SIG_IGN)


def take_signals() -> None:
    """Take the signals (back) from whoever has put handlers of their own in place."""
    if threading.current_thread() is threading.main_thread():
        _take(_on_signal)


def _take(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in _SIGNALS:
        signal.signal(number, handler)


def part_with(said: str) -> None:
    """From now on, wherever no sweep listens, let a signal end the process with this word."""
    global _parting  # noqa: PLW0603 - a process has one set of signals
    _parting = said


@contextmanager
def raising() -> Iterator[None]:
    """Let signals raise KeyboardInterrupt while this lasts: what was begun is put in order."""
    with _given_back():
        _take(_on_signal_to_raise)
        yield


@contextmanager
def listening(sweep: str, acknowledge: Callable[[str], None] = say) -> Iterator[None]:
    """Let signals ask for a sweep's end while this lasts; those of earlier ones are forgotten.

    Args:
        sweep: Its name.
        acknowledge: Tells people at once that they were heard. A handler of signals calls it: it
            may not print.
    """
    global _acknowledge, _parting, _sweep  # noqa: PLW0603 - a process has one set of signals
    _sweep, _acknowledge = sweep, acknowledge
    _parting = f"Interrupted. See where it stands: monosweep status {sweep}"
    _asked.clear()
    with _given_back():
        take_signals()
        yield


@contextmanager
def _given_back() -> Iterator[None]:
    previous = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
