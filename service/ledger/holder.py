"""Who holds a lease: a process, told apart from every other one, dead or alive."""

import os
import socket
from dataclasses import dataclass
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
    def is_here(self) -> bool:
        """Whether it runs, or ran, on this host."""
        return self.host == socket.gethostname()

    def is_dead(self) -> bool:
        """Whether it ran on this host and is gone; False where that cannot be known."""
        if not self.is_here:
            return False
        if self.boot_id != _boot_id():
            return True
        try:
            is_same = abs(_process_start(self.pid) - self.process_start) < 1.0
            return not is_same or psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True


def _boot_id() -> str:
    """Names this boot of the machine; on Linux a step of the clock does not change it."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else str(int(psutil.boot_time()))


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
