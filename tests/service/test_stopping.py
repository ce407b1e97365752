import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from service import stopping
from service.errors import InterruptedSweepError

# A program that finishes its work when it is asked to stop, but slowly.
SLOW = """
import time
from service import stopping
with stopping.listening("tiny"):
    print("ready", flush=True)
    while not stopping.is_asked():
        time.sleep(0.01)
    print("asked", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_leaves_at_once(number: signal.Signals) -> None:
    slow = subprocess.Popen(
        [sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert slow.stdout is not None
    assert slow.stdout.readline() == "ready\n"
    slow.send_signal(number)
    assert slow.stdout.readline() == "asked\n"
    assert slow.stderr is not None
    heard = slow.stderr.readline()
    assert heard.startswith("Stopping after a checkpoint")
    assert "second Ctrl-C" in heard
    slow.send_signal(number)
    _, said = slow.communicate(timeout=20)
    assert slow.returncode == 75
    assert said == "Left at once. Nothing that ended is lost. Go on with: monosweep resume tiny\n"


# A command that is still importing, has its verdict, or is in its very last moments.
BEFORE_AND_AFTER = """
import atexit, sys, time
from service import stopping
def wait():
    print("ready", flush=True)
    time.sleep(60)
stopping.leave_when_signalled()
match sys.argv[1]:
    case "before":
        wait()
    case "after":
        with stopping.listening("tiny"):
            pass
        wait()
    case "at exit":
        atexit.register(wait)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("when", "line"),
    [
        ("before", "Interrupted. Give the same command again."),
        ("after", "Interrupted. See where it stands: monosweep status tiny"),
        ("at exit", "Interrupted. Give the same command again."),
    ],
)
def test_where_no_sweep_listens_a_signal_ends_the_process_with_a_line(
    when: str, line: str, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", BEFORE_AND_AFTER, when],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (75, f"{line}\n")


def test_what_must_be_put_in_order_is_told_by_an_exception() -> None:
    with pytest.raises(KeyboardInterrupt), stopping.raising():
        signal.raise_signal(signal.SIGTERM)


def test_whoever_waits_is_woken_when_the_end_is_asked_for() -> None:
    with stopping.listening("tiny"):
        stopping.pause(0.0)
        stopping.ask()
        with pytest.raises(InterruptedSweepError):
            stopping.pause(60.0)


def test_handlers_are_given_back() -> None:
    before: Callable[..., object] | int | None = signal.getsignal(signal.SIGTERM)
    with stopping.listening("tiny"):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
