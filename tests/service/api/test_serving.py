"""A server whose queue nobody looks after any more ends, so that another one is started."""

import os
import subprocess
import sys
from pathlib import Path

from loopback import free_port

_SERVE = """
import sys
from service.dispatch.reconciler import Reconciler
from service.__main__ import main

def reconcile(self):
    raise RuntimeError("an error of the program's own")

Reconciler.reconcile = reconcile
sys.argv = ["monosweep", "serve", "--no-auth", "--port", sys.argv[1]]
main()
"""


def test_a_server_ends_with_its_reconciler_and_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SERVE, str(free_port())],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "MONOSWEEP_HOME": str(tmp_path / "home")},
    )
    assert done.returncode == 1
    assert "RuntimeError: an error of the program's own" in done.stderr
    assert "the queue must be looked after" in " ".join(done.stderr.split())
