"""A share of a core is what processes get."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cpu_share import can_be_limited, share_of_a_core


@pytest.mark.skipif(not can_be_limited(), reason="control groups cannot be made here")
def test_a_process_and_what_it_starts_get_no_more_than_their_share() -> None:
    # It starts two more that never rest.
    busy = "import os; os.fork(); os.fork(); print(flush=True)\nwhile True: pass"
    wait = "import sys; sys.stdin.readline(); exec(sys.argv[1])"
    process = subprocess.Popen(
        [sys.executable, "-c", wait, busy],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with share_of_a_core([process.pid], 0.25):
        try:
            print(file=process.stdin, flush=True)
            process.stdout.readline()
            family = [psutil.Process(process.pid)]
            family += family[0].children(recursive=True)
            before, began = _spent_s(family), time.monotonic()
            time.sleep(2.0)
            share = (_spent_s(family) - before) / (time.monotonic() - began)
        finally:
            for one in [*psutil.Process(process.pid).children(recursive=True), process]:
                one.kill()
            process.wait()
    # A busy machine may give less.
    assert 0.02 < share < 0.35


def _spent_s(family: list[psutil.Process]) -> float:
    return sum(one.cpu_times().user + one.cpu_times().system for one in family)
