"""The benchmark runs, at tiny sizes; nothing here depends on how fast."""

import math
import sqlite3
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

import bench_sweep
from bench_sweep import CORES, Plan, measure, show
from machine_limit import Sizes
from plain_training import Training, train
from whole_sweeps import Ended, Swept, _runs, ours, plain, plain_settings, sweep_spec

from service.spec import load_spec

TINY = Plan(
    sizes=Sizes(64, 16, 64, 32),
    num_steps=64,
    num_trials=2,
    short_steps=32,
    num_short_trials=2,
    num_stopped_trials=4,
    seeds=(0,),
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
    settings = plain_settings(spec, half=True)
    assert settings.bias == (-1.0, 0.0)
    assert settings.decay == pytest.approx((0.016, 0.48))
    assert settings.width == (256, 1024, 64)
    assert (settings.num_trials, settings.num_seeds, settings.num_steps) == (20, 4, 8192)


def test_a_plain_training_learns_and_reports_few_times() -> None:
    torch.manual_seed(1)
    training = Training(Sizes(32, 16, 64, 64), num_steps=400, seed=0, initial_bias=-0.1)
    reports = list(train(training, half=False))
    assert [sorted(report) for report in reports[:-1]] == [["training_loss"]] * 3
    # Saying nothing costs a third of the density for each feature.
    assert reports[-1]["loss"] < 0.8 * 32 / 64 / 3
    # One batch of 64 is not all 8192 samples.
    assert reports[-1]["loss"] == pytest.approx(reports[-1]["training_loss"], rel=0.6)
    assert 0.0 <= reports[-1]["monosemantic_per_feature"] <= 2.0
    assert list(train(training, half=False)) == reports


def test_times_are_counted_from_the_command() -> None:
    swept = Swept(
        (Ended(10.0, 20.0), Ended(20.0, 40.0, 0.5), Ended(20.0, 30.0, 0.25), Ended(40.0, 60.0)),
        command_s=70.0,
    )
    assert swept.an_hour == pytest.approx(4 * 3600 / 60)
    assert swept.as_json()["trials_per_hour_of_search_alone"] == pytest.approx(4 * 3600 / 50)
    assert swept.best == 0.5
    assert swept.reached_s(0.25) == 30.0
    assert swept.reached_s(0.3) == 40.0
    assert swept.reached_s(0.6) == math.inf


def test_the_plain_sweep_is_as_fast_as_its_last_trial(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def mine(spec: object) -> Swept:
        return Swept((Ended(1.0, 2.0, 0.25), Ended(2.0, 4.0, 0.75)), command_s=5.0)

    def other(spec: object, *, half: bool) -> Swept:
        return Swept((Ended(4.0, 16.0, 0.5), Ended(16.0, 24.0, 0.25)), command_s=25.0)

    monkeypatch.setattr(bench_sweep, "ours", mine)
    monkeypatch.setattr(bench_sweep, "plain", other)
    found = measure(TINY)
    full, short, stopped = found["rows"]
    assert full["ratio"] == short["ratio"] == pytest.approx(6.0)
    # 0.5 at the end of 24 s; ours was beyond it at 4 s.
    assert (stopped["value"], stopped["found_s"]) == (0.5, 16.0)
    assert stopped["ratio"] == pytest.approx(6.0)
    show(found)
    assert "which the plain sweep had at 16 s" in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.timeout(900)
def test_both_sweeps_train_as_many_networks(tmp_path: Path) -> None:
    spec = sweep_spec(TINY.sizes, TINY.num_steps, TINY.num_trials, num_seeds=2)
    mine, other = ours(spec), plain(spec, half=True)
    # No worker is started anew where a phase ends; a trial an actor, as Tune's own pages have it.
    assert mine.num_workers <= CORES
    assert other.num_workers == len(other.trials)
    for swept in (mine, other):
        assert len(swept.trials) == 2 + TINY.num_trials
        assert 0.0 < swept.first_s < swept.last_s < swept.command_s
        # Of the baseline none may be best.
        assert sum(one.value is not None for one in swept.trials) <= TINY.num_trials
        assert all(one.began_s < one.ended_s for one in swept.trials)


def test_runs_are_read_from_mlflows_tables() -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        """
        CREATE TABLE experiments (experiment_id INTEGER, name TEXT);
        CREATE TABLE runs (run_uuid TEXT, experiment_id INTEGER, start_time INT, end_time INT);
        CREATE TABLE latest_metrics (run_uuid TEXT, key TEXT, value REAL);
        INSERT INTO experiments VALUES (1, 'search');
        INSERT INTO runs VALUES ('a', 1, 1500, 2500);
        INSERT INTO latest_metrics VALUES ('a', 'loss', 0.25);
        """
    )
    (run,) = _runs(connection)
    assert run == {"loss": 0.25, "phase": "search", "began": 1.5, "ended": 2.5}
