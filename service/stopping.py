"""Ending a sweep in good order: a first SIGTERM or Ctrl-C asks for it, a second one leaves at once.

What is in the ledger is whole at any moment, so that leaving at once loses no more than a kill.

Asking only sets a flag, which the scheduler looks at. An exception raised by a signal would come
at any line, in the middle of other libraries' start-up too, some of which swallow it.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import InterruptedSweepError

_asked = threading.Event()
_sweep = "NAME"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def ask() -> None:
    """End the sweep that is going on; from any thread."""
    _asked.set()


def is_asked() -> bool:
    """Whether somebody asked for the end."""
    return _asked.is_set()


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


def _on_signal(_signum: int, _frame: object) -> None:
    if is_asked():
        said = f"Left at once. Nothing that ended is lost. Go on with: {how_to_resume()}\n"
        os.write(2, said.encode())
        os._exit(InterruptedSweepError.exit_code)
    ask()


def take_signals() -> None:
    """Take the signals (back) from whoever has put handlers of their own in place."""
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            signal.signal(number, _on_signal)


@contextmanager
def listening(sweep: str) -> Iterator[None]:
    """Let signals ask for a sweep's end while this lasts; those of earlier ones are forgotten."""
    global _sweep  # noqa: PLW0603 - a process has one set of signals
    _sweep = sweep
    _asked.clear()
    previous = {number: signal.getsignal(number) for number in _SIGNALS}
    take_signals()
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
