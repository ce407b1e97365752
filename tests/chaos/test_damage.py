"""The short form of ``make damage``, and a check that it is able to find something."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from damage import damage


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_damaged_files_are_refused_or_recovered_from(tmp_path: Path) -> None:
    found = damage(6, seed=1, folder=tmp_path)
    assert found.total() == 6
    assert {end for _, _, end in found} == {"recovered", "refused"}
