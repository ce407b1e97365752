"""The benchmark of commands, on a small sweep; how long they take is not asserted."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import bench_large

from service.home import Home
from service.ledger import Ledger


@pytest.mark.occasional
def test_each_command_reads_the_sweep_and_resume_extends_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    export, resume, memory = bench_large.measure(tmp_path, url, 40, ["export", bench_large.RESUME])
    assert (export[0], export[2]) == ("export", "s")
    assert (resume[0], resume[2]) == ("resume", "s")
    assert export[1] > 0
    assert resume[1] > 0
    assert (memory[0], memory[2]) == ("resume, peak memory", "MiB")
    # Ray, torch, Optuna and MLflow are in it; the machine's own memory is not.
    assert 200 < memory[1] < psutil.virtual_memory().total / 2**20
    assert (tmp_path / "exported" / "trials.parquet").exists()
    searched = Ledger(url, create=False).trials("large", "search")
    # 40 trials are cohorts 0 to 2; the extension's is the next.
    assert {trial.cohort_id for trial in searched[40:]} == {"search-3"}


def test_a_command_that_fails_is_no_measurement(tmp_path: Path) -> None:
    home = bench_large.drawn(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 4)
    with pytest.raises(RuntimeError, match="status other ended with 2"):
        bench_large.until_it_ends(home, ("status", "other"))


def test_a_command_that_does_not_end_is_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = Home(path=tmp_path, ledger_url="", tracking_uri="", storage="")
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(bench_large, "PATIENCE_S", 0.2)
    with pytest.raises(subprocess.TimeoutExpired):
        bench_large.until_it_ends(home, ("status",))
    with pytest.raises(RuntimeError), bench_large.started(home, ("status",)) as process:
        raise RuntimeError
    assert process.returncode == -signal.SIGKILL
