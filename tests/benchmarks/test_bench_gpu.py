"""The GPU's benchmark runs, here on the processor and at a tiny size."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

import bench_gpu
from machine_limit import Sizes


@pytest.mark.occasional
def test_everything_is_measured():
    found = bench_gpu.measure(Sizes(32, 8, 64, 16), steps=2, num_steps=8, device="cpu")
    assert [row["case"] for row in found["rows"]] == [
        "32/8/64/16 cohort of 1", "32/8/64/16 cohort of 8", "32/8/64/16 cohort of 64",
    ]  # fmt: skip
    networks = found["paper"]["networks"]
    assert [one["batch"] for one in networks] == ["LR1"] * 6 + ["LR3"] * 6
    assert all(one["loss"] > 0 for one in networks)
    # At an initial bias of -1 nothing answers yet.
    assert networks[6]["mean_bias"] == pytest.approx(-1.0, abs=0.05)


def test_ratios_are_of_the_plain_loops_time(monkeypatch):
    # Seconds of a trial's step in a cohort of so many, and of the plain loop.
    times = {1: 0.004, 8: 0.001, 64: 0.0005}
    monkeypatch.setattr(bench_gpu, "step_s", lambda sizes, size, steps, device: times[size])
    monkeypatch.setattr(bench_gpu, "plain_step_s", lambda *_: 0.002)
    rows = bench_gpu.speed(Sizes(32, 8, 64, 16), steps=2, device="cpu")
    assert [row["ratio"] for row in rows] == pytest.approx([0.5, 2.0, 4.0])


def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bench_gpu.main([]) == 2
    assert "needs a GPU" in capsys.readouterr().err
