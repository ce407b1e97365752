"""What the driver makes sure of before anything is trained; whole sweeps are in ``integration``."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from entry_point import bare_environment

from service import cluster
from service.driver import _connected
from service.errors import UserError
from service.home import Home
from service.spec import Spec
from service.watching import Watcher

# Where the main thread waits for Ray, it waits here until another one has imported the scheduler.
WAITING = """
import sys, threading
from importlib.abc import MetaPathFinder
from service import cluster
from service.__main__ import main
from service.errors import UserError

importer, found = [], threading.Event()

class Watch(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "service.scheduler":
            importer.append(threading.current_thread())
            found.set()

def connect(address, here):
    found.wait(60)
    raise UserError(f"by the main thread: {importer == [threading.main_thread()]}")

cluster.connect = connect
sys.meta_path.insert(0, Watch())
sys.argv = ["monosweep", "run", "tiny.yaml"]
main()
"""


def test_too_many_processors_are_refused_before_ray_is_started(
    make_spec: Callable[..., Spec], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*_words: object) -> None:
        raise AssertionError("Ray was started")

    class NothingToTell(Watcher):
        def workers_starting(self) -> None:
            raise AssertionError("it was said that workers start")

    monkeypatch.setattr(cluster, "connect", connect)
    spec = make_spec(("compute: {cohort_size: 2, max_concurrent: 1}", "compute: {cpus: 500}"))
    with (
        pytest.raises(UserError, match="needs 500 CPUs on one machine"),
        _connected(None, spec, home, [NothingToTell()]),
    ):
        pass


def test_what_trains_is_imported_while_ray_starts(tmp_path: Path, tiny_text: str) -> None:
    (tmp_path / "tiny.yaml").write_text(tiny_text)
    done = subprocess.run(
        [sys.executable, "-c", WAITING],
        cwd=tmp_path,
        env=bare_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "by the main thread: False" in done.stderr
