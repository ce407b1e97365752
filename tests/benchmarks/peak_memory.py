"""The most memory that a process has had."""

from pathlib import Path


def peak_bytes(process: int | str = "self") -> int:
    """The most resident memory that a process has had by now; 0 if it has ended.

    Not what ``getrusage`` and ``wait4`` tell of it: of a process that was started that is at least
    what the one that started it had.

    Args:
        process: Its id.

    Raises:
        FileNotFoundError: If there is no such process, not even one that was not waited for.
    """
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
