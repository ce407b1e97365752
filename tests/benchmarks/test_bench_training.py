"""The benchmark runs, at tiny sizes; nothing here depends on how fast."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import bench_training
from bench_training import cohort, company, compare, interleaved, measure, whole_chunks
from machine_limit import Sizes

from service.machine import has_bfloat16_products

TINY = Sizes(32, 8, 64, 16)


@pytest.mark.occasional
def test_everything_is_measured():
    found = measure([TINY], steps=2, rounds=1, seconds=0.01)
    # Where a processor has no products in bfloat16, torch has them, slowly, and oneDNN refuses.
    measured = ["bfloat16", "float32"] if has_bfloat16_products() else ["float32"]
    assert [row["case"] for row in found["rows"]] == [
        *(f"32/8/64/16 {precision}" for precision in measured), "32/8/64/16 cohort of 16",
    ]  # fmt: skip
    assert set(found) == {
        "machine", "versions", "rows", "limit", "cohort", "memory", "breakdown", "checkpoint",
    }  # fmt: skip
    assert all(found["limit"]["32/8/64/16"][f"{precision}_gflops"] > 0 for precision in measured)
    assert found["memory"]["measured"] > 0


def test_ratios_are_of_the_plain_loops_time(monkeypatch):
    # Seconds of a step of ours, of the other of ours, and of the plain loop.
    monkeypatch.setattr(bench_training, "precisions", lambda: ("bfloat16", "float32"))
    monkeypatch.setattr(bench_training, "interleaved", lambda *_: [0.002, 0.004, 0.006])
    # Nothing is timed: what every processor has is quick to make.
    monkeypatch.setattr(
        bench_training, "trained", lambda sizes, _precision, size: cohort(sizes, "float32", size)
    )
    half, single = compare(TINY, steps=2, rounds=1)
    assert (half["ratio"], single["ratio"]) == pytest.approx((3.0, 1.5))
    assert (half["case"], single["case"]) == ("32/8/64/16 bfloat16", "32/8/64/16 float32")
    # 16 trials in 4 ms.
    row, cohorts = company(TINY, steps=2, rounds=1)
    assert (row["ours"], row["ratio"]) == pytest.approx((0.00025, 24.0))
    assert cohorts["ratio"] == pytest.approx(8.0)


def test_the_first_turn_warms_up_and_the_median_counts(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(bench_training.time, "perf_counter", lambda: now[0])
    # 10 steps: 100 s to warm up, then 1, 2 and 0.1 s a step.
    taken = iter([100.0, 10.0, 20.0, 1.0])

    def work(steps):
        now[0] += next(taken)

    assert interleaved([work], steps=10, rounds=3) == pytest.approx([1.0])


def test_turns_are_of_whole_chunks():
    # 2**21 numbers are 14 steps of 2048 samples of 64 inputs and 8 features there, on average.
    state = cohort(Sizes(512, 64, 1024, 2048), "bfloat16", 1)
    assert state.chunk_steps == 14
    assert state.step % 14 == 0
    assert [whole_chunks(state, steps) for steps in (1, 14, 32)] == [14, 14, 42]
    # No evaluation, which are at powers of two, comes within 20 turns of that.
    assert 2**16 < state.step < state.step + 20 * 42 < 2**17


def test_operations_by_hand():
    # Three products of 2 * 16 * 64 * 32 = 65536 and two of 2 * 16 * 64 * 8 = 16384.
    assert TINY.operations == 229376
    assert TINY.num_weights == 64 * 41
