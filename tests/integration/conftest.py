"""Lets the tests of this folder share ``shell``, and sweeps that nobody touched."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

sys.path.insert(0, str(Path(__file__).parent))

from shell import LONGER, Shell, write_spec

Begin = Callable[[Path], Shell]


def once_for_all(tmp_path_factory: pytest.TempPathFactory, name: str, make: Begin) -> Shell:
    """A sweep that the first process of the tests runs which needs it, for all of them."""
    # Of one run of the tests, whichever of its processes this is.
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if folder.name.startswith("popen-") else folder) / name
    with FileLock(f"{folder}.lock"):
        if (folder / "made").exists():
            return Shell(folder / "home")
        folder.mkdir()
        shell = make(folder)
        (folder / "made").touch()
    return shell


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A small sweep, run to its verdict, with all that MLflow is shown."""

    def make(folder: Path) -> Shell:
        shell = Shell(folder / "home", {"MONOSWEEP_SHOWCASE": "on"})
        done = shell.run("run", str(write_spec(folder)))
        assert "Look next" in done.stdout
        assert "baseline 2/2" in done.stderr
        return shell

    return once_for_all(tmp_path_factory, "finished", make)


@pytest.fixture(scope="session")
def longer(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """The same with cohorts of some seconds, which others disturb."""

    def make(folder: Path) -> Shell:
        shell = Shell(folder / "home")
        shell.run("run", str(write_spec(folder, **LONGER)))
        return shell

    return once_for_all(tmp_path_factory, "longer", make)
