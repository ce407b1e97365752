"""Ray Tune, asked for cohorts on a Ray of its own."""

import subprocess
import sys
from pathlib import Path

from entry_point import bare_environment

ASKED = """\
import sys
from pathlib import Path
from service import cluster, scheduler, stopping
from service.planning import Resolved
from service.room import Machine, Room

class Agenda:
    is_done = False
    def next_cohort(self):
        print("mlflow" in sys.modules)
        self.is_done = True

settled = Resolved(cohort_size=1, max_concurrent=1, sampler="random", precision="float32",
                   device="cpu", cpus=1, gpus=0.0)
cluster.connect(None, Room((Machine(1, 2**40),)))
with stopping.listening("s"):
    scheduler.run(Agenda(), settled, Path(sys.argv[1]))
cluster.disconnect()
"""


def test_no_cohort_waits_for_mlflow(tmp_path: Path) -> None:
    """Tune imports it to count callbacks, which took two seconds of every start."""
    done = subprocess.run(
        [sys.executable, "-c", ASKED, str(tmp_path / "tune")],
        env=bare_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["False"], done.stderr
