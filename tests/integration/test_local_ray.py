"""The Ray that is started for a sweep on this machine."""

import json
import subprocess
import sys

# Its processes some seconds after it has started, how often its agent looked for a dashboard in
# vain, whether a Ray that is started later by somebody else is as it comes, and whether what a
# dashboard is made of was imported.
PROGRAM = """
import json, sys, time
from pathlib import Path
import psutil, ray
from ray._private import services, utils
from ray._private.node import Node
from service import cluster
from service.room import Machine, Room

def replaced():
    monitors = Node.start_monitor, Node.start_log_monitor
    return services.start_api_server, *monitors, utils.get_dashboard_dependency_error

before = replaced()
cluster.connect(None, Room((Machine(1, 2**33),)))
is_restored, is_imported = before == replaced(), "ray.dashboard.optional_deps" in sys.modules
time.sleep(5)
children = [" ".join(one.cmdline()) for one in psutil.Process().children(recursive=True)]
session = Path(ray._private.worker.global_worker.node.get_session_dir_path())
log = (session / "logs" / "dashboard_agent.log").read_text()
cluster.disconnect()
num_complaints = log.count("Get dashboard http address failed")
print(json.dumps([is_restored, is_imported, children, num_complaints]))
"""


def test_no_process_is_started_that_no_sweep_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=True
    )
    is_restored, is_imported, children, num_complaints = json.loads(done.stdout.splitlines()[-1])
    assert is_restored
    assert not is_imported
    assert any("raylet" in child for child in children)
    assert any("gcs_server" in child for child in children)
    for needless in ("dashboard/dashboard.py", "monitor.py", "log_monitor.py"):
        assert not [child for child in children if needless in child]
    # While Ray starts it may look once or twice.
    assert num_complaints <= 3
