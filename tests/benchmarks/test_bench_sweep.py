"""The benchmark runs, at tiny sizes; nothing here depends on how fast."""

import math
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))

import bench_sweep
from bench_sweep import CORES, Plan, measure, show
from machine_limit import Sizes
from plain_training import Training, features, features_of_one_draw, train
from whole_sweeps import (
    Ended,
    Swept,
    _plain_value,
    _run_plain,
    _runs,
    ours,
    plain,
    plain_settings,
    sweep_spec,
)

from service.spec import Spec, load_spec

TINY = Plan(
    sizes=Sizes(64, 16, 64, 32),
    num_steps=64,
    num_trials=2,
    short_steps=32,
    num_short_trials=2,
    num_stopped_trials=4,
    rounds=2,
)


def test_what_is_swept_is_the_quick_start() -> None:
    plan, quick_start = Plan(), load_spec("quickstart")
    spec = sweep_spec(plan.sizes, plan.num_steps, plan.num_trials, early_stopping="auto")
    # But for the optimiser, which torch must have too.
    trained = spec.training.model_copy(update={"optimizer": quick_start.training.optimizer})
    assert trained == quick_start.training
    for part in ("task", "model", "baseline", "objective", "search", "compute"):
        assert getattr(spec, part) == getattr(quick_start, part), part
    assert spec.space == quick_start.space
    assert spec.stopping == quick_start.stopping
    # The plain sweep's space, by hand: 8 times the root of the density, and the paper's decays
    # for 2**17 steps, for a sixteenth of them.
    settings = plain_settings(spec, tuned=False)
    assert settings.bias == (-1.0, 0.0)
    assert settings.decay == pytest.approx((0.016, 0.48))
    assert settings.width == (256, 1024, 64)
    assert (settings.num_trials, settings.num_seeds, settings.num_steps) == (20, 4, 8192)


LEARNS = Training(Sizes(32, 16, 64, 64), num_steps=400, seed=0, initial_bias=-0.1)


@pytest.mark.occasional
@pytest.mark.parametrize(
    ("tuned", "steps"), [(False, [2**n for n in range(9)] + [400]), (True, [100, 200, 300, 400])]
)
def test_a_plain_training_learns(tuned: bool, steps: list[int]) -> None:
    torch.manual_seed(1)
    reports = list(train(LEARNS, tuned=tuned, half=False))
    assert len(reports) == len(steps)
    # Saying nothing costs a third of the density for each feature.
    assert reports[-1]["loss"] < 0.8 * 32 / 64 / 3
    # One batch of 64 is not all 8192 samples.
    assert reports[-1]["loss"] == pytest.approx(reports[-1]["training_loss"], rel=0.6)
    assert 0.0 <= reports[-1]["monosemantic_per_feature"] <= 2.0
    assert list(train(LEARNS, tuned=tuned, half=False)) == reports
    # The curves that ours have, or the end alone.
    assert ["loss" in report for report in reports[:-1]] == [not tuned] * (len(steps) - 1)


@pytest.mark.parametrize("draw", [features, features_of_one_draw])
def test_features_are_sparse_and_even(draw: Callable[[int, int], Tensor]) -> None:
    torch.manual_seed(2)
    drawn = draw(4096, 256)
    there = drawn[drawn > 0]
    assert len(there) / drawn.numel() == pytest.approx(1 / 64, rel=0.05)
    quartiles = torch.quantile(there, torch.tensor([0.25, 0.5, 0.75]))
    assert quartiles.tolist() == pytest.approx([0.25, 0.5, 0.75], abs=0.02)


def test_times_are_counted_from_the_command() -> None:
    swept = Swept(
        (Ended(10.0, 20.0), Ended(20.0, 40.0, 0.5), Ended(20.0, 30.0, 0.25), Ended(40.0, 60.0)),
        command_s=70.0,
    )
    assert swept.trial_s == pytest.approx(15.0)
    assert swept.as_json()["trials_per_hour"] == pytest.approx(4 * 3600 / 60)
    assert swept.as_json()["trials_per_hour_of_search_alone"] == pytest.approx(4 * 3600 / 50)
    assert swept.best == 0.5
    assert swept.reached_s(0.25) == 30.0
    assert swept.reached_s(0.3) == 40.0
    assert swept.reached_s(0.6) == math.inf


class Faked:
    """Sweeps that take no time: what each program is asked for, in turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, int, int]] = []
        monkeypatch.setattr(bench_sweep, "ours", self.ours)
        monkeypatch.setattr(bench_sweep, "plain", self.plain)

    def _note(self, who: str, spec: Spec) -> None:
        self.asked.append((who, spec.search.num_trials, spec.search.seed))

    def ours(self, spec: Spec) -> Swept:
        self._note("ours", spec)
        return Swept((Ended(1.0, 2.0, 0.25), Ended(2.0, 4.0, 0.75)), command_s=5.0)

    def plain(self, spec: Spec, *, tuned: bool) -> Swept:
        self._note("plain", spec)
        if spec.search.seed:
            return Swept((Ended(4.0, 8.0, 0.25), Ended(8.0, 40.0)), command_s=41.0)
        return Swept((Ended(4.0, 16.0, 0.5), Ended(16.0, 24.0, 0.25)), command_s=25.0)


def test_sweeps_take_turns_and_their_medians_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faked = Faked(monkeypatch)
    found = measure(replace(TINY, num_short_trials=3))
    assert faked.asked == [
        ("ours", 3, 0), ("plain", 3, 0), ("plain", 3, 1), ("ours", 3, 1),
        ("ours", 2, 0), ("plain", 2, 0), ("plain", 2, 1), ("ours", 2, 1),
        ("ours", 4, 0), ("ours", 4, 1),
    ]  # fmt: skip
    full, short, stopped, whole = found["rows"]
    # Two trainings in 4 s, beside two in 24 s and in 40 s.
    for row in (full, short):
        assert (row["ours"], row["other"], row["ratio"]) == (2.0, 16.0, 8.0)
        assert [one["ratio"] for one in row["each"]] == [6.0, 10.0]
        assert row["range"] == {"ours": [2.0, 2.0], "other": [12.0, 20.0], "ratio": [6.0, 10.0]}
    # 0.5 was there at 16 s, and ours beyond it at 4 s; 0.25 at 8 s, and ours at 2 s.
    assert (stopped["ours"], stopped["other"]) == (3.0, 12.0)
    assert [one["ratio"] for one in stopped["each"]] == [4.0, 4.0]
    assert [one["value"] for one in stopped["each"]] == [0.5, 0.25]
    # The whole plain sweeps were at their ends at 24 s and at 40 s.
    assert (whole["ours"], whole["other"], whole["ratio"]) == (3.0, 32.0, 13.0)
    show(found)
    said = capsys.readouterr().out
    assert "to 0.5: ours at 4 s, the plain sweep at 16 s, at its end 24 s" in said
    assert "round 1: 20.0 times" in said


def test_a_value_that_is_never_reached_has_no_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Faked(monkeypatch)

    def never(spec: Spec) -> Swept:
        return Swept((Ended(1.0, 2.0),), command_s=3.0)

    monkeypatch.setattr(bench_sweep, "ours", never)
    found = measure(replace(TINY, rounds=1, cases=("full", "stopped")))
    _, stopped, whole = found["rows"]
    assert (stopped["ours"], stopped["other"], stopped["ratio"]) == (None, 16.0, 0.0)
    assert (whole["ours"], whole["other"], whole["ratio"]) == (None, 24.0, 0.0)
    show(found)
    assert "to 0.5: ours at never" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("cases", "measured"),
    [
        (("short",), ["short trials"]),
        (("full",), ["full length"]),
        (("full", "stopped"), ["full length", "early stopping", "early stopping, whole"]),
    ],
)
def test_only_the_cases_that_are_asked_for_are_measured(
    monkeypatch: pytest.MonkeyPatch, cases: tuple[str, ...], measured: list[str]
) -> None:
    Faked(monkeypatch)
    found = measure(replace(TINY, cases=cases))
    assert [row["case"] for row in found["rows"]] == measured


@pytest.mark.occasional
@pytest.mark.timeout(900)
def test_both_sweeps_train_as_many_networks() -> None:
    spec = sweep_spec(TINY.sizes, TINY.num_steps, TINY.num_trials, num_seeds=2)
    mine, other = ours(spec), plain(spec, tuned=False)
    # No worker is started anew where a phase ends; a trial an actor, as Tune's own pages have it.
    assert mine.num_workers <= CORES
    assert other.num_workers == 2 + TINY.num_trials
    for swept in (mine, other):
        assert len(swept.trials) == 2 + TINY.num_trials
        assert 0.0 < swept.first_s < swept.last_s < swept.command_s
        # Of the baseline none may be best.
        assert sum(one.value is not None for one in swept.trials) <= TINY.num_trials
        assert all(one.began_s < one.ended_s for one in swept.trials)
    # More trials than there are at a time, so that some come after others.
    reused = plain(sweep_spec(TINY.sizes, 64, CORES + 1, num_seeds=2), tuned=True)
    assert len(reused.trials) == CORES + 3
    assert reused.num_workers < CORES + 3


@pytest.fixture
def mlflow() -> sqlite3.Connection:
    """MLflow's tables, with one run that has ended."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        """
        CREATE TABLE experiments (experiment_id INTEGER, name TEXT);
        CREATE TABLE runs (run_uuid TEXT, experiment_id INTEGER, name TEXT, status TEXT,
                           start_time INT, end_time INT);
        CREATE TABLE params (run_uuid TEXT, key TEXT, value TEXT);
        CREATE TABLE latest_metrics (run_uuid TEXT, key TEXT, value REAL, is_nan BOOLEAN);
        INSERT INTO experiments VALUES (1, 'search');
        INSERT INTO runs VALUES ('a', 1, 'trial_a', 'FINISHED', 1500, 2500);
        INSERT INTO params VALUES ('a', 'seed', '0'), ('a', 'num_steps', '64');
        INSERT INTO latest_metrics VALUES ('a', 'loss', 0.25, 0), ('a', 'score', 0.0, 1);
        """
    )
    return connection


def test_runs_are_read_from_mlflows_tables(mlflow: sqlite3.Connection) -> None:
    (run,) = _runs(mlflow)
    assert run == {"loss": 0.25, "phase": "search", "seed": "0", "began": 1.5, "ended": 2.5}


@pytest.mark.parametrize("change", ["end_time = NULL", "status = 'FAILED'"])
def test_a_run_that_did_not_end_well_is_refused(mlflow: sqlite3.Connection, change: str) -> None:
    mlflow.execute(f"UPDATE runs SET {change}")
    with pytest.raises(RuntimeError, match="must have ended well"):
        _runs(mlflow)


@pytest.mark.parametrize(
    ("run", "value"),
    [
        ({"phase": "search", "loss": 1.0, "monosemantic_per_feature": 0.5}, 0.5),
        ({"phase": "search", "loss": 1.1, "monosemantic_per_feature": 0.5}, None),
        ({"phase": "search", "monosemantic_per_feature": 0.5}, None),
        ({"phase": "baseline", "loss": 1.0, "monosemantic_per_feature": 0.5}, None),
    ],
)
def test_what_counts_is_a_trial_within_the_ceiling(
    run: dict[str, object], value: float | None
) -> None:
    assert _plain_value(run, ceiling=1.02) == value


def test_a_plain_sweep_that_fails_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho first\nyes said | head -n 1000\necho last\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    settings = plain_settings(sweep_spec(TINY.sizes, 64, 2), tuned=False)
    with pytest.raises(RuntimeError, match="exit status 3") as failed:
        _run_plain(settings, tmp_path)
    said = str(failed.value).split("It said last:\n")[1]
    assert len(said) == 2000
    assert said.endswith("said\nlast\n")
    assert "first" not in said
