"""The benchmark of commands, on a small sweep; how long they take is not asserted."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import bench_large

from service.ledger import Ledger


@pytest.mark.long
def test_each_command_reads_the_sweep_and_resume_extends_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    found = dict(bench_large.measure(tmp_path, url, 40, ["export", bench_large.RESUME]))
    assert list(found) == ["export", "resume"]
    assert all(took > 0 for took in found.values())
    assert (tmp_path / "exported" / "trials.parquet").exists()
    searched = Ledger(url, create=False).trials("large", "search")
    # 40 trials are cohorts 0 to 2; the extension's is the next.
    assert {trial.cohort_id for trial in searched[40:]} == {"search-3"}


def test_a_command_that_fails_is_no_measurement(tmp_path: Path) -> None:
    home = bench_large.drawn(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 4)
    with pytest.raises(RuntimeError, match="status other ended with 2"):
        bench_large.until_it_ends(home, ("status", "other"))
