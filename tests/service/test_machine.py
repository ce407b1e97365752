import os
import platform
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

import trainers
from service import machine


def test_available_cpus_are_those_this_process_may_use() -> None:
    assert machine.available_cpus() == len(os.sched_getaffinity(0))


def test_fewer_are_available_where_fewer_may_be_used() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert machine.available_cpus() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_bfloat16_products_are_told_as_torch_tells_them() -> None:
    assert machine.has_bfloat16_products() is trainers.bfloat16_is_native()


@pytest.mark.parametrize(
    ("flags", "has"),
    [
        ("fpu avx512f avx512_bf16 amx_tile", True),
        ("fpu amx_bf16", True),
        ("fpu avx512f avx512_bf16x", False),
        ("", False),
    ],
)
def test_bfloat16_products_are_read_from_the_processors_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, has: bool
) -> None:
    cpu_info = tmp_path / "cpuinfo"
    cpu_info.write_text(f"processor\t: 0\nmodel name\t: Some CPU @ 2: fast\nflags\t\t: {flags}\n")
    monkeypatch.setattr(machine, "_CPU_INFO", cpu_info)
    assert machine.has_bfloat16_products() is has
    assert machine.versions()["processor"] == "Some CPU @ 2: fast"


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("1048576", 2**20), ("max", None), ("9223372036854771712", None)],
)
def test_memory_is_no_more_than_the_container_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, expected: int | None
) -> None:
    file = tmp_path / "memory.max"
    file.write_text(f"{limit}\n")
    monkeypatch.setattr(machine, "_MEMORY_LIMITS", (file, tmp_path / "none"))
    assert machine.memory_bytes() == (expected or psutil.virtual_memory().total)


def test_versions_are_those_of_what_changes_numbers() -> None:
    found = machine.versions()
    assert set(found) == {"monosweep", "torch", "numpy", "numba", "processor"}
    assert found["numpy"] == np.__version__
    assert torch.__version__.startswith(found["torch"])
    assert all(found.values())


def test_without_cpuinfo_the_processor_still_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_CPU_INFO", tmp_path / "none")
    assert machine.versions()["processor"] in {platform.processor(), platform.machine()} - {""}
    assert machine.has_bfloat16_products() is False
