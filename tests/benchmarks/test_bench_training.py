"""The benchmark runs, at tiny sizes; nothing here depends on how fast."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bench_training import measure
from machine_limit import Sizes


def test_everything_is_measured():
    found = measure([Sizes(32, 8, 64, 16)], steps=2, rounds=1, seconds=0.01)
    assert [row["case"] for row in found["rows"]] == [
        "32/8/64/16", "32/8/64/16 float32", "32/8/64/16 cohort of 16",
    ]  # fmt: skip
    for row in found["rows"]:
        assert row["ratio"] == pytest.approx(row["other"] / row["ours"])
    assert set(found) == {
        "machine", "versions", "rows", "limit", "cohort", "memory", "breakdown", "checkpoint",
    }  # fmt: skip
    assert found["limit"]["32/8/64/16"]["bfloat16_gflops"] > 0
    assert found["memory"]["measured"] > 0


def test_operations_by_hand():
    # Three products of 2 * 16 * 64 * 32 = 65536 and two of 2 * 16 * 64 * 8 = 16384.
    assert Sizes(32, 8, 64, 16).operations == 229376
    assert Sizes(32, 8, 64, 16).num_weights == 64 * 41
