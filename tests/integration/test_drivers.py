"""Two drivers on one sweep: one works, the other is refused or writes nothing more."""

import os
import re
import signal
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
from shell import PATIENCE_S, Shell, Started, wait_until, write_spec

LONGER = {"num_steps: 512": "num_steps: 4096", "learning_rate: 0.02": "learning_rate: 0.005"}


def everything(home: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table of the ledger and of MLflow."""
    found = {}
    for database in ("ledger.db", "mlflow.db"):
        with closing(sqlite3.connect(home / database)) as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (name,) in names.fetchall():
                rows = connection.execute(f"SELECT * FROM {name}").fetchall()
                found[f"{database}/{name}"] = rows
    return found


def fall_asleep(home: Path, sleeper: Started) -> None:
    """Stop a driver that is not within a write of the ledger: SQLite would wait for it."""

    def sleeps_unlocked() -> bool:
        sleeper.process.send_signal(signal.SIGSTOP)
        try:
            with closing(sqlite3.connect(home / "ledger.db", timeout=1)) as ledger, ledger:
                ledger.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            sleeper.process.send_signal(signal.SIGCONT)
            return False
        return True

    wait_until(sleeps_unlocked)


def sleep_past_its_lease(home: Path, sleeper: Started) -> None:
    """As half a minute of sleep would do."""
    fall_asleep(home, sleeper)
    with closing(sqlite3.connect(home / "ledger.db", timeout=30)) as ledger, ledger:
        ledger.execute("UPDATE monosweep_leases SET expires_at = 0")


def is_training(home: Path) -> bool:
    """Whether a worker has said that it trains a cohort."""
    if not (home / "ledger.db").exists():
        return False
    with closing(sqlite3.connect(home / "ledger.db", timeout=30)) as ledger:
        table = "SELECT 1 FROM sqlite_master WHERE name = 'monosweep_attempts'"
        said = "SELECT 1 FROM monosweep_attempts WHERE worker IS NOT NULL"
        return bool(ledger.execute(table).fetchall() and ledger.execute(said).fetchall())


def test_of_two_drivers_that_start_at_once_one_works_and_one_is_refused(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "home")
    first = shell.start("run", str(write_spec(tmp_path)))
    first.until("baseline: 0 of")
    first.stop(signal.SIGTERM)
    two = [shell.start("resume", "tiny") for _ in range(2)]
    codes = [one.process.wait(PATIENCE_S) for one in two]
    assert sorted(codes) == [0, 2]
    refused = two[codes.index(2)].said()
    assert "must have one driver only, found process" in refused
    assert f"found process {two[codes.index(0)].process.pid} on" in refused
    assert shell.json("status", "tiny")["trials"]["complete"] == 4


def test_a_driver_that_slept_past_its_lease_writes_nothing_more(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "home")
    sleeper = shell.start("run", str(write_spec(tmp_path)))
    sleeper.until("search: 0 of")
    # Asleep, but not yet for long.
    fall_asleep(shell.home, sleeper)
    refused = shell.run("resume", "tiny", code=2).stderr
    assert f"process {sleeper.process.pid} on" in refused
    sleep_past_its_lease(shell.home, sleeper)
    try:
        shell.run("resume", "tiny")
        before = everything(shell.home)
    finally:
        sleeper.process.send_signal(signal.SIGCONT)
    said = sleeper.ends(1)
    assert "another driver has taken the sweep 'tiny': this one writes no more" in said
    assert everything(shell.home) == before
    assert shell.json("status", "tiny")["state"] == "finished"


def test_a_driver_that_slept_past_its_lease_leaves_the_next_ones_checkpoints_alone(
    tmp_path: Path,
) -> None:
    shell = Shell(tmp_path / "home")
    long = {"num_steps: 512": "num_steps: 262144", "learning_rate: 0.02": "learning_rate: 0.005"}
    often = {"max_concurrent: 1": "max_concurrent: 1, checkpoint_s: 1"}
    sleeper = shell.start("run", str(write_spec(tmp_path, **long, **often)))
    cohort = shell.home / "cohorts" / "tiny" / "baseline-0"
    wait_until(lambda: any(cohort.glob("000001-*.safetensors")))
    sleep_past_its_lease(shell.home, sleeper)
    second = shell.start("resume", "tiny")
    wait_until(lambda: any(cohort.glob("000002-*.safetensors")))
    sleeper.process.send_signal(signal.SIGCONT)
    sleeper.ends(1)
    assert second.process.poll() is None
    assert any(cohort.glob("000002-*.safetensors"))
    second.stop(signal.SIGTERM)
    assert any(cohort.glob("000002-*.safetensors"))


def takes_signals(pid: int) -> bool:
    """Whether a process has a handler of its own; Python itself has none of SIGTERM."""
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = re.findall(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE)
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("seconds", [0.0, 1.0, 2.5])
def test_an_early_interrupt_ends_with_75_and_says_how_to_go_on(
    tmp_path: Path, seconds: float
) -> None:
    """Whether the sweep is in the ledger by then or not."""
    shell = Shell(tmp_path / "home")
    started = shell.start("run", str(write_spec(tmp_path)))
    wait_until(lambda: takes_signals(started.process.pid))
    time.sleep(seconds)
    said = " ".join(started.stop(signal.SIGINT).split())
    known = [each["name"] for each in shell.json("status")] if shell.home.exists() else []
    assert ("monosweep resume tiny" in said) == (known == ["tiny"])
    assert ("Give the same command again" in said) == (known == [])


def test_a_signal_to_the_whole_process_group_leaves_checkpoints(tmp_path: Path) -> None:
    """As ``timeout`` and batch systems send it: Ray's own processes do not hear it."""
    shell = Shell(tmp_path / "home")
    long = {"num_steps: 512": "num_steps: 262144", "learning_rate: 0.02": "learning_rate: 0.005"}
    started = shell.start("run", str(write_spec(tmp_path, **long)), own_group=True)
    cohort = shell.home / "cohorts" / "tiny" / "baseline-0"
    wait_until(lambda: is_training(shell.home))
    # Long before its first checkpoint of its own.
    time.sleep(5.0)
    os.killpg(started.process.pid, signal.SIGTERM)
    said = " ".join(started.ends(75).split())
    assert "Stopping after a checkpoint" in said
    assert "Ray has ended" not in said
    assert "Go on with it: monosweep resume tiny" in said
    assert any(cohort.glob("000001-*.safetensors"))


def test_when_ray_ends_with_the_driver_it_was_asked_for(tmp_path: Path) -> None:
    """Where every process gets the signal, wherever it belongs to."""
    shell = Shell(tmp_path / "home")
    started = shell.start("run", str(write_spec(tmp_path, **LONGER)))
    started.until("baseline: 0 of")
    driver = psutil.Process(started.process.pid)
    for process in [driver, *driver.children(recursive=True)]:
        # Some of Ray's end with their raylet, before their turn comes.
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    said = " ".join(started.ends(75).split())
    assert "Ray has ended" not in said
    assert "monosweep resume tiny" in said
