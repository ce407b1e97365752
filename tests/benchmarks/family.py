"""What a command costs with all the processes that it starts, seen from outside."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

# What lives shorter than that is missed, and of every process its last moments.
LOOK_S = 0.05


@dataclass(frozen=True)
class Cost:
    """What a command took.

    Attributes:
        wall_s: Seconds from its start to its end.
        cpu_s: Processor time by process: ``command`` itself, then by what each is.
    """

    wall_s: float
    cpu_s: Mapping[str, float]

    @property
    def total_cpu_s(self) -> float:
        """Processor time of all processes."""
        return sum(self.cpu_s.values())


def cost_of(
    command: Sequence[str],
    environment: Mapping[str, str],
    look: Callable[[float], None] = lambda _: None,
) -> Cost:
    """Run a command to its end.

    Args:
        command: The command, which must succeed.
        environment: All of its environment.
        look: Called again and again meanwhile, with the seconds since the start.

    Raises:
        CalledProcessError: If it fails.
    """
    began = time.perf_counter()
    process = psutil.Popen(
        command, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    seen: dict[psutil.Process, tuple[str, float]] = {}
    while process.poll() is None:
        for one in [process, *_children(process)]:
            _look_at(one, process, seen)
        look(time.perf_counter() - began)
        time.sleep(LOOK_S)
    wall_s = time.perf_counter() - began
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    by_name: dict[str, float] = {}
    for name, seconds in seen.values():
        by_name[name] = by_name.get(name, 0.0) + seconds
    return Cost(wall_s, by_name)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _look_at(
    one: psutil.Process, command: psutil.Process, seen: dict[psutil.Process, tuple[str, float]]
) -> None:
    try:
        times = one.cpu_times()
        name = "command" if one.pid == command.pid else _name(one.cmdline())
    except psutil.Error:
        return
    # One that is at its end has no name any more.
    known = seen.get(one, ("", 0.0))[0]
    seen[one] = (name or known, times.user + times.system)


def _name(words: Sequence[str]) -> str:
    """What a process is: the program that Python runs, Ray's title of a worker, or the program."""
    if not words:
        return ""
    program = Path(words[0].split()[0]).name
    if not program.startswith("python"):
        return program.removeprefix("ray::").split("(")[0] or program
    script = next((word for word in words[1:] if not word.startswith("-")), "")
    path = Path(script)
    return f"{path.parent.name}/{path.name}" if path.name in ("main.py", "agent.py") else path.name
