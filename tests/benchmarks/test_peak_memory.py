"""A process's own memory is told, and not that of the one that started it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from peak_memory import peak_bytes

MIB = 2**20
# Says when it has had that much and let go of it again, and waits.
PROGRAM = """
held = bytearray(b"x") * (int(__import__("sys").argv[1]) * 2**20)
del held
print("there", flush=True)
input()
"""


@pytest.mark.parametrize("size", [1, 200])
def test_the_peak_is_the_processes_own(size: int) -> None:
    # More than a Python process has of itself; the smaller one must not be told to have had it.
    held = bytearray(b"x") * (100 * MIB)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(size)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        assert size * MIB < peak_bytes(process.pid) < (size + 50) * MIB
        process.kill()
    assert peak_bytes() > len(held)


def test_of_a_process_that_has_ended_nothing_is_known() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    # At its end, and not waited for: it is still there, without memory.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert peak_bytes(process.pid) == 0
    process.wait()
    with pytest.raises(FileNotFoundError):
        peak_bytes(process.pid)
