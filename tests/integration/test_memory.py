"""A trial that needs more memory than its machine has, among others that do not."""

import re
from pathlib import Path

import psutil
import pytest
from shell import Shell, write_spec

GIB = 2**30
# The driver and Ray take 1.3 GiB of them; the wide trial alone takes 4, the others next to nothing.
SPARE_BYTES = 3 * GIB
NEEDED_BYTES = 7 * GIB
WIDE = 2**16
SPEC = {
    "num_features: 64": "num_features: 1024",
    "feature_density: 0.03125": "feature_density: 0.002",
    "batch_size: 32": "batch_size: 8",
    "num_trials: 4": "num_trials: 3, enqueue: ["
    f"{{num_neurons: {WIDE}}}, {{num_neurons: 64, l1: 0.0}}, {{num_neurons: 64, l1: 0.01}}]",
    "cohort_size: 2": "cohort_size: 3",
}


def little_memory() -> dict[str, str]:
    """What lets Ray believe that the machine has little more than is in use now."""
    memory = psutil.virtual_memory()
    if memory.available < NEEDED_BYTES:
        pytest.skip(f"needs {NEEDED_BYTES / GIB:g} GiB, {memory.available / GIB:.1f} are free")
    used = memory.total - memory.available
    return {
        "RAY_memory_usage_threshold": f"{(used + SPARE_BYTES) / memory.total:.4f}",
        "RAY_memory_monitor_refresh_ms": "100",
    }


# What others give back of the machine's memory meanwhile the wide trial would have.
@pytest.mark.occasional
@pytest.mark.alone
def test_a_trial_that_exhausts_its_workers_memory_fails_alone(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "home", little_memory())
    space = f"{{num_neurons: {{choice: [64, {WIDE}]}}, l1: {{float: [0.0, 0.01]}}}}"
    said = " ".join(shell.run("run", str(write_spec(tmp_path, space, **SPEC))).stderr.split())
    assert "search-0 ended again and again, trying its trials apart: search-0a, search-0b" in said
    wide, *others = [row for row in shell.trials("tiny") if row["phase"] == "search"]
    assert [wide["params.num_neurons"], *(row["params.num_neurons"] for row in others)] == [
        *(WIDE, 64, 64)
    ]
    assert wide["state"] == "failed"
    assert re.fullmatch(
        r"its worker ended 3 times on this trial alone: memory ran out on \S+: "
        r"\S+GB used / \S+GB limit",
        wide["reason"],
    )
    assert {row["state"] for row in others} == {"complete"}
    assert shell.json("status", "tiny")["state"] == "finished"
