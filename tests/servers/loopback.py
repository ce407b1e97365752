"""What the servers of the tests share: where they listen, and waiting until they answer there."""

import errno
import secrets
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
START_S = 180.0
STOP_S = 20.0
# Below those that systems give to whoever connects, and above those of Ray's workers: between the
# look for a port and a server's start, some seconds for Ray's, a connection could take it.
_PORTS = range(20_000, 32_000)
# A server that asked for several has not bound the first when it gets the second.
_given: set[int] = set()


@dataclass(frozen=True)
class Place:
    """Where a server listens.

    Attributes:
        address: Its own there.
        words: Of a command line, what starts the rest of it there.
    """

    address: str = HOST
    words: tuple[str, ...] = ()


HERE = Place()


def free_port() -> int:
    """A port on loopback that nobody has, and that no connection is given by itself.

    Raises:
        RuntimeError: If none was free among many.
    """
    for port in secrets.SystemRandom().sample(_PORTS, 1000):
        if port in _given:
            continue
        with socket.socket() as listener:
            try:
                listener.bind((HOST, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                _given.add(port)
                return port
    raise RuntimeError(f"a port must be free from {_PORTS.start} to {_PORTS.stop}, found none")


def is_listening(address: str, port: int) -> bool:
    """Whether somebody takes connections."""
    with socket.socket() as caller:
        return caller.connect_ex((address, port)) == 0


def wait_until(answers: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until a server that was just started answers.

    Raises:
        RuntimeError: If it ends before that, or takes too long; with the end of its log.
    """
    until = time.monotonic() + START_S
    while not answers():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(
                f"{process.args!r} must answer within {START_S:.0f} s, found it "
                f"{'silent' if process.poll() is None else 'ended'}:\n{log.read_text()[-2000:]}"
            )
        time.sleep(0.05)
