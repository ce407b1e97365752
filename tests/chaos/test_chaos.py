"""The short form of ``make chaos``, and a check that it is able to find something."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from chaos import Sweep, chaos


@pytest.mark.timeout(900)
def test_sweeps_that_are_killed_again_and_again_end_whole(tmp_path: Path) -> None:
    hits = chaos(10, seed=1, folder=tmp_path)
    assert hits.total() == 10


def test_what_was_left_behind_is_found(tmp_path: Path) -> None:
    """A sweep that was killed once and never resumed is not whole."""
    sweep = Sweep(tmp_path)
    assert sweep.kill_after(9.0)
    with pytest.raises(AssertionError, match="budget"):
        sweep.check_is_whole()
