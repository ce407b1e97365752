"""What the servers of the tests share: where they listen, and waiting until they answer there."""

import secrets
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
START_S = 180.0
STOP_S = 20.0
# Below those that systems give to whoever connects, and above those of Ray's workers: between the
# look for a port and a server's start, some seconds for Ray's, a connection could take it.
_PORTS = range(20_000, 32_000)


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
    """A port on loopback that nobody has, and that no connection is given by itself."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as listener, suppress(OSError):
            listener.bind((HOST, port))
            return port


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
