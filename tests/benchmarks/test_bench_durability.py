"""The benchmark runs, at tiny sizes; nothing here depends on how fast."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bench_durability import measure, show
from machine_limit import Sizes


@pytest.mark.long
def test_everything_is_measured(
    tmp_path: Path, tiny_text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "tiny.yaml"
    spec.write_text(tiny_text)
    found = measure(Sizes(32, 8, 64, 16), str(spec), interval_s=0.1, rounds=1, round_s=0.5)
    assert set(found["checkpoints"]) == {"32/8/64/16 cohort of 16", "32/8/64/16 cohort of 4"}
    for one in found["checkpoints"].values():
        assert one["num_written"] >= 1
        assert one["share"] == pytest.approx((one["stood_s"] + one["thread_s"]) / 30.0)
    for one in found["sweeps"].values():
        num = {call["call"]: call["num"] for call in one["calls"]}
        # In cohorts of two: 2 trials of the baseline, 4 of the search, 4 or more to confirm.
        assert num["Writer.add_trials"] == num["Writer.tell"] >= 5
        assert num["Writer.record_results"] == num["Writer.begin_attempt"]
        assert one["share"] == pytest.approx(sum(c["s"] for c in one["calls"]) / one["training_s"])
    assert set(found["shares"]) == {"sqlite", "postgresql"}
    show(found)
    assert "all of it on postgresql: " in capsys.readouterr().out
