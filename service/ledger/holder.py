"""Who holds a lease: a process, told apart from every other one, dead or alive."""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Holder:
    """A process, told apart from every other one, dead or alive."""

    host: str
    boot_id: str
    pid: int
    process_start: float

    @classmethod
    def here(cls) -> "Holder":
        """This process."""
        return cls(socket.gethostname(), _boot_id(), os.getpid(), _process_start(os.getpid()))

    @property
    def is_visible(self) -> bool:
        """Whether its process can be looked for from here."""
        return (self.host, self.boot_id) == (socket.gethostname(), _boot_id())

    def is_dead(self) -> bool:
        """Whether it is known to be gone; False where that cannot be known.

        That its machine was started anew since cannot be known: machines are called ``localhost``,
        copies of one image share its id, and containers do not see each other's processes.
        """
        if not self.is_visible:
            return False
        try:
            is_same = abs(_process_start(self.pid) - self.process_start) < 1.0
            return not is_same or psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def ask_to_leave(self) -> None:
        """Send its process SIGTERM, if it is there still; one that got its id is left alone.

        Raises:
            psutil.AccessDenied: If it is another user's.
        """
        with suppress(psutil.NoSuchProcess):
            # Known by its start from here on: psutil looks at that once more before it sends.
            process = psutil.Process(self.pid)
            if self.is_visible and not self.is_dead():
                process.terminate()


@cache
def _boot_id() -> str:
    """Names this boot, and the processes that can be seen: ``BOOT:PROCESSES``.

    On Linux a step of the clock does not change it.
    """
    boot = Path("/proc/sys/kernel/random/boot_id")
    processes = Path("/proc/self/ns/pid")
    return "{}:{}".format(
        boot.read_text().strip() if boot.exists() else int(psutil.boot_time()),
        processes.stat().st_ino if processes.exists() else "",
    )


def _process_start(pid: int) -> float:
    """When a process started; on Linux in ticks since boot, which a step of the clock leaves alone.

    Raises:
        psutil.NoSuchProcess: If it is gone.
    """
    path = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self/stat").exists():
        return psutil.Process(pid).create_time()
    try:
        # Field 22; the second one, the program's name, may hold spaces and brackets.
        return float(path.read_text().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError) as error:
        raise psutil.NoSuchProcess(pid) from error
