"""Lets the tests of this folder share ``shell``, and a sweep that nobody touched."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from shell import LONGER, Shell, write_spec


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A small sweep, run to its verdict."""
    folder = tmp_path_factory.mktemp("finished")
    shell = Shell(folder / "home", {"MONOSWEEP_SHOWCASE": "on"})
    done = shell.run("run", str(write_spec(folder)))
    assert "Look next" in done.stdout
    assert "baseline 2/2" in done.stderr
    return shell


@pytest.fixture(scope="session")
def longer(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """The same with cohorts of some seconds, which others disturb."""
    folder = tmp_path_factory.mktemp("longer")
    shell = Shell(folder / "home")
    shell.run("run", str(write_spec(folder, **LONGER)))
    return shell
