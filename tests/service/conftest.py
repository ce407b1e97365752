"""A finished sweep with tables, made once: figures and pages of it are only read."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from large_sweep import large_sweep

from service.home import Home
from service.opened import OpenSweep, open_sweep


@pytest.fixture(scope="session")
def finished_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with the sweep ``drawn``: 40 trials, of which 5 were stopped and 1 failed."""
    path = tmp_path_factory.mktemp("finished")
    home = Home(
        path=path,
        ledger_url=f"sqlite:///{path / 'ledger.db'}",
        tracking_uri=f"sqlite:///{path / 'mlflow.db'}",
        storage=str(path),
    )
    large_sweep(home, 40, "drawn")
    return home


@pytest.fixture(scope="session")
def finished(finished_home: Home) -> OpenSweep:
    """That sweep, opened."""
    return open_sweep("drawn", finished_home)
