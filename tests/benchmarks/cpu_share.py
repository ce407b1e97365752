"""Processes that get a share of a core's time and no more, by the kernel's control groups."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_PERIOD_US = 100_000
# How long the processes of a group may take to be gone.
_PATIENCE_S = 10.0


def can_be_limited() -> bool:
    """Whether this process may make such groups: as root, of either version of them."""
    return os.access(_root(), os.W_OK)


@contextmanager
def share_of_a_core(pids: Iterable[int], share: float) -> Iterator[None]:
    """Give processes, and all that they start from now on, a share of one core's time together.

    They must be gone when this ends.

    Args:
        pids: The processes.
        share: Between 0 and 1.
    """
    group = _root() / f"monosweep-{os.getpid()}-{time.monotonic_ns()}"
    group.mkdir()
    try:
        quota_us = round(share * _PERIOD_US)
        if _is_first_version():
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota_us))
        else:
            (group / "cpu.max").write_text(f"{quota_us} {_PERIOD_US}")
        for pid in pids:
            (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        until = time.monotonic() + _PATIENCE_S
        while (group / "cgroup.procs").read_text() and time.monotonic() < until:
            time.sleep(0.1)
        group.rmdir()


def _is_first_version() -> bool:
    return (_GROUPS / "cpu").is_dir()


def _root() -> Path:
    return _GROUPS / "cpu" if _is_first_version() else _GROUPS
