"""The benchmark runs, at tiny sizes; nothing here depends on how fast."""

import json
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import bench_durability
from bench_durability import measure, show, sweep
from machine_limit import Sizes


def test_shares_are_of_the_time_between_two_checkpoints_and_of_the_sweeps_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = [
        {"thread": "MainThread", "call": "Writer.tell", "num": 6, "s": 0.3},
        {"thread": "MainThread", "call": "Ledger.trials", "num": 2, "s": 0.2},
        {"thread": "lease", "call": "renew", "num": 4, "s": 0.1},
    ]
    said = f"progress\n{json.dumps({'training_s': 60.0, 'total_s': 90.0, 'calls': calls})}\n"
    monkeypatch.setattr(
        bench_durability.subprocess, "run", lambda words, **_: CompletedProcess(words, 0, said)
    )
    found = sweep("tiny.yaml", None, Path("home"))
    assert found["by_thread_s"] == pytest.approx({"driver": 0.5, "lease": 0.1})
    assert (found["num_calls"], found["share"]) == (12, pytest.approx(0.01))
    # What of the two ways to measure them, and of the cohorts, is the worst.
    costs = iter(
        [{"share": 0.002, "measured_share": -0.01}, {"share": 0.001, "measured_share": 0.004}]
    )
    monkeypatch.setattr(bench_durability, "checkpoints", lambda *_: next(costs))
    monkeypatch.setattr(bench_durability, "sweeps", lambda spec: {"sqlite": found})
    whole = measure(Sizes(32, 8, 64, 16), "tiny.yaml", interval_s=0.1, rounds=1, round_s=0.5)
    assert whole["shares"] == pytest.approx({"sqlite": 0.014})


@pytest.mark.occasional
def test_everything_is_measured(
    tmp_path: Path, tiny_text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "tiny.yaml"
    spec.write_text(tiny_text)
    found = measure(Sizes(32, 8, 64, 16), str(spec), interval_s=0.1, rounds=1, round_s=0.5)
    assert set(found["checkpoints"]) == {"32/8/64/16 cohort of 16", "32/8/64/16 cohort of 4"}
    for one in found["checkpoints"].values():
        assert one["num_written"] >= 1
        # In two rounds of half a second, one of them with checkpoints.
        assert 0.0 < one["stood_s"] < 0.5
        assert 0.0 < one["thread_s"] < 1.0
    for one in found["sweeps"].values():
        num = {call["call"]: call["num"] for call in one["calls"]}
        # In cohorts of two: 2 trials of the baseline, 4 of the search, 4 or more to confirm.
        assert num["Writer.add_trials"] == num["Writer.tell"] >= 5
        assert num["Writer.record_results"] == num["Writer.begin_attempt"]
    assert set(found["shares"]) == {"sqlite", "postgresql"}
    show(found)
    assert "all of it on postgresql: " in capsys.readouterr().out
