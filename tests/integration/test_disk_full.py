"""Disks that are full for a while: the sweep on them ends with the same numbers."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from mlflow_shows import check_mlflow
from shell import LONGER, Shell, numbers, write_spec

SIZE_MB = 64
FULL_S = 10.0, 4.0


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of its own, which lasts as long as the block."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a disk of memory")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    with ExitStack() as stack:
        yield (
            stack.enter_context(small_disk(tmp_path / "one")),
            stack.enter_context(small_disk(tmp_path / "other")),
        )


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """While the block lasts not a byte is left on the disk."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    yield
    filler.unlink()


def test_no_sweep_is_begun_on_a_full_disk(tmp_path: Path, disks: tuple[Path, Path]) -> None:
    first, _ = disks
    shell = Shell(first / "home")
    spec = write_spec(tmp_path)
    with full(first):
        said = shell.run("run", str(spec), code=1).stderr
    assert "the ledger cannot be opened: " in said
    assert "disk is full" in said
    # It has left nothing that the next one stumbles over.
    with full(first):
        assert "disk is full" in shell.run("run", str(spec), code=1).stderr
    assert "there must be a ledger to read" in shell.run("status", code=2).stderr


@pytest.mark.occasional
def test_disks_may_be_full_in_mid_sweep(
    longer: Shell, tmp_path: Path, disks: tuple[Path, Path]
) -> None:
    """First the one with ledger, MLflow's database and the log; then the one with the storage."""
    first, second = disks
    shell = Shell(first / "sweep" / "home", {"MONOSWEEP_STORAGE": str(second)})
    shell.home.parent.mkdir()
    driver = shell.start("run", str(write_spec(tmp_path, **LONGER)))
    driver.until("search: 0 of")
    with full(first):
        time.sleep(FULL_S[0])
    driver.until("The ledger answers again")
    with full(second):
        driver.until(r"search-\d: (a checkpoint could not be written|the storage does not answer)")
        time.sleep(FULL_S[1])
    said = driver.ends()
    rows = shell.trials("tiny")
    assert numbers(rows) == numbers(longer.trials("tiny"))
    assert {row["state"] for row in rows} == {"complete"}
    check_mlflow(shell, "tiny", f"sqlite:///{shell.home / 'mlflow.db'}")
    for part in ("The ledger", r"search-\d: The storage"):
        assert driver.count(f"{part} answers again") == 1, said
