"""Whole sweeps through the command line: real training, a real Ray, SQLite, MLflow."""

import re
import signal
import socket
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from shell import Shell, numbers, wait_until, write_spec

from service.columns import TRIALS_SCHEMA
from service.ledger import Ledger


def test_status_counts_every_trial(finished: Shell) -> None:
    status = finished.json("status", "tiny")
    assert (status["state"], status["phase"]) == ("finished", "report")
    assert status["trials"] == {
        "complete": 4,
        "pruned": 0,
        "failed": 0,
        "running": 0,
        "waiting": 0,
    }
    assert status["baseline"]["ceiling"] == pytest.approx(1.5 * status["baseline"]["loss"])
    assert status["best"]["trial"].startswith("search/")
    assert "tiny" in finished.run("status").stdout


def test_best_says_what_was_confirmed(finished: Shell) -> None:
    best = finished.json("best", "tiny")
    assert {"confirmed", "num_seeds", "loss_margin", "loss_ratio", "baseline", "winner"} <= set(
        best
    )
    assert set(best["baseline"]["loss"]) == {"mean", "low", "high"}
    for metric in ("monosemantic_per_feature", "monosemantic_per_neuron", "feature_coverage"):
        assert set(best["baseline"][metric]) == {"mean", "low", "high"}
    assert best["baseline"]["num_neurons"] == 64
    assert best["confirmed"] is (best["winner"] is not None)


def test_export_has_the_documented_columns(finished: Shell) -> None:
    rows = finished.trials("tiny")
    folder = finished.exported("tiny")
    assert pq.read_schema(folder / "trials.parquet").equals(TRIALS_SCHEMA)
    search = [row for row in rows if row["phase"] == "search"]
    assert [row["trial_id"] for row in search] == [f"search/{n}" for n in range(4)]
    assert all(row["attempts"] == 1 and row["num_steps"] == 512 for row in rows)
    baseline = {row["seeds"][0]: row["loss"] for row in rows if row["phase"] == "baseline"}
    for row in search:
        assert row["loss_ratio"] == pytest.approx(row["loss"] / baseline[row["seeds"][0]])
        assert row["feasible"] is (row["loss_ratio"] <= 1.5)
    curves = pq.read_table(folder / "curves.parquet").to_pylist()
    steps = [row["step"] for row in curves if row["trial_id"] == "search/0"]
    assert steps == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    neurons = pq.read_table(folder / "neurons.parquet").to_pylist()
    widths = {row["trial_id"]: row["params.num_neurons"] for row in rows}
    for trial_id, width in widths.items():
        assert sum(row["trial_id"] == trial_id for row in neurons) == width


def test_mlflow_shows_one_flat_run_a_trial_and_a_summary(finished: Shell) -> None:
    client = MlflowClient(f"sqlite:///{finished.home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("monosweep/tiny")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    rows = {row["trial_id"]: row for row in finished.trials("tiny")}
    by_trial = {run.data.tags.get("monosweep.trial"): run for run in runs}
    assert len(runs) == len(rows) + 1
    assert set(by_trial) == {*rows, None}
    assert not any("mlflow.parentRunId" in run.data.tags for run in runs)
    for trial_id, row in rows.items():
        run = by_trial[trial_id]
        assert run.info.run_id == row["mlflow_run_id"]
        assert run.info.status == "FINISHED"
        assert run.data.tags["phase"] == row["phase"]
        assert run.data.tags["state"] == "complete"
        assert run.data.metrics["loss"] == row["loss"]
        assert run.data.params["num_neurons"] == str(row["params.num_neurons"])
        history = client.get_metric_history(run.info.run_id, "loss")
        assert [point.step for point in history] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    for row in rows.values():
        if row["phase"] == "search":
            metrics = by_trial[row["trial_id"]].data.metrics
            assert metrics["param.initial_bias"] == row["params.initial_bias"]
            assert metrics["loss_ratio"] == row["loss_ratio"]
    summary = by_trial[None]
    assert summary.info.run_name == "summary"
    names = {artifact.path for artifact in client.list_artifacts(summary.info.run_id)}
    assert names == {"sweep.yaml", "verdict.json", "report.html", "figures", "tables"}


def test_runs_can_be_filtered_as_people_filter(finished: Shell) -> None:
    client = MlflowClient(f"sqlite:///{finished.home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("monosweep/tiny")
    found = client.search_runs(
        [experiment.experiment_id],
        "metrics.loss_ratio < 1.5 and tags.phase = 'search' and tags.feasible = 'true'",
    )
    feasible = [row["trial_id"] for row in finished.trials("tiny") if row["feasible"]]
    assert sorted(run.data.tags["monosweep.trial"] for run in found) == feasible


def test_a_name_that_exists_is_never_overwritten(finished: Shell, tmp_path: Path) -> None:
    before = finished.trials("tiny")
    same = finished.run("run", str(write_spec(tmp_path)), code=2)
    assert "monosweep resume tiny" in same.stderr
    changed = write_spec(tmp_path, **{"num_trials: 4": "num_trials: 5"})
    other = finished.run("run", str(changed), code=2)
    assert "monosweep resume tiny --num-trials 5" in " ".join(other.stderr.split())
    assert finished.trials("tiny") == before


def test_resuming_a_finished_sweep_shows_the_verdict(finished: Shell) -> None:
    before = finished.trials("tiny")
    # Of a driver that was killed before it could remove it.
    left = finished.home / "cohorts" / "tiny" / "search-0" / "000001-000000000256.safetensors"
    left.parent.mkdir(parents=True)
    left.touch()
    again = finished.run("resume", "tiny")
    assert "Look next" in again.stdout
    assert "The sweep tiny is finished: its verdict again." in again.stderr
    assert finished.trials("tiny") == before
    assert not left.exists()
    assert "can be extended, never shortened" in " ".join(
        finished.run("resume", "tiny", "--num-trials", "2", code=2).stderr.split()
    )


def test_the_same_file_and_seed_give_the_same_numbers_bit_for_bit(
    finished: Shell, tmp_path: Path
) -> None:
    again = Shell(tmp_path / "home")
    again.run("run", str(write_spec(tmp_path)))
    assert numbers(again.trials("tiny")) == numbers(finished.trials("tiny"))
    assert again.json("best", "tiny") == finished.json("best", "tiny")


def test_a_sweep_that_is_stopped_goes_on_to_the_same_numbers(
    finished: Shell, tmp_path: Path
) -> None:
    shell = Shell(tmp_path / "home")
    spec = write_spec(tmp_path)
    stopped = shell.start("run", str(spec))
    stopped.until("search: 0 of")
    said = stopped.stop(signal.SIGTERM)
    assert "monosweep resume tiny" in " ".join(said.split())
    status = shell.json("status", "tiny")
    assert status["state"] == "interrupted"
    assert shell.json("best", "tiny")["confirmed"] is False
    # Nothing is amiss with it: nobody died.
    assert "died" not in shell.run("doctor").stdout
    shell.run("resume", "tiny")
    assert numbers(shell.trials("tiny")) == numbers(finished.trials("tiny"))
    assert list((shell.home / "cohorts").rglob("*.safetensors")) == []


STOPPING = {
    "num_steps: 512": "num_steps: 4096",
    "learning_rate: 0.02": "learning_rate: 0.01",
    "num_trials: 4": "num_trials: 6",
    "cohort_size: 2": "checkpoint_s: 0.2, cohort_size: 3",
    "confirmation:": "early_stopping: {first_step: 256, reduction: 2}\nconfirmation:",
}


@pytest.mark.occasional
def test_early_stopping_ends_the_same_whenever_the_sweep_is_stopped(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, "{initial_bias: {float: [-1.0, 0.0]}}", **STOPPING)
    untouched, shell = Shell(tmp_path / "untouched"), Shell(tmp_path / "home")
    untouched.run("run", str(spec))
    expected = untouched.trials("tiny")
    # Of three trials one is stopped after 256 steps, and one of the other two after 512.
    ends = [(row["state"], row["num_steps"]) for row in expected if row["phase"] == "search"]
    for cohort in (ends[:3], ends[3:]):
        assert sorted(cohort) == [("complete", 4096), ("pruned", 256), ("pruned", 512)]
    stopped = shell.start("run", str(spec))
    # With the second cohort at work.
    wait_until(lambda: any((shell.home / "cohorts/tiny/search-1").glob("*.safetensors")))
    stopped.stop(signal.SIGTERM)
    assert list((shell.home / "cohorts/tiny/search-1").glob("*.safetensors"))
    assert shell.json("status", "tiny")["trials"]["pruned"] == 2
    shell.run("resume", "tiny")
    assert shell.json("status", "tiny")["trials"]["pruned"] == 4
    also = ("state", "reason", "num_steps", "loss_ratio")
    for found, row in zip(shell.trials("tiny"), expected, strict=True):
        assert numbers([found]) == numbers([row])
        assert {name: found[name] for name in also} == {name: row[name] for name in also}
    assert shell.json("best", "tiny") == untouched.json("best", "tiny")


def test_a_stopped_cohort_goes_on_from_its_checkpoint_once_it_can_be_read(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "home")
    spec = write_spec(
        tmp_path,
        **{
            "num_steps: 512": "num_steps: 262144",
            "max_concurrent: 1": "max_concurrent: 1, checkpoint_s: 1",
        },
    )
    stopped = shell.start("run", str(spec))
    # Its first checkpoint; the cohort would be at work for most of a minute.
    wait_until(lambda: any((shell.home / "cohorts").rglob("*.safetensors")))
    stopped.stop(signal.SIGTERM)
    newest = max((shell.home / "cohorts").rglob("*.safetensors"))
    num_steps_done = int(newest.stem.split("-")[1])
    assert num_steps_done > 0
    # As a later version would have written it: nothing is lost for want of that version.
    ours = newest.read_bytes()
    later = re.sub(rb'(format_version\\": )\d', rb"\g<1>9", ours)
    newest.write_bytes(later)
    refused = " ".join(shell.run("resume", "tiny", code=1).stderr.split())
    assert "found 9. Install a later monosweep" in refused
    assert newest.read_bytes() == later
    newest.write_bytes(ours)
    assert shell.json("status", "tiny")["trials"]["failed"] == 0
    going_on = shell.start("resume", "tiny")
    going_on.until(f"baseline-0 goes on from its checkpoint at step {num_steps_done}")
    attempts = Ledger(f"sqlite:///{shell.home / 'ledger.db'}", create=False).attempts(
        "tiny", "baseline-0"
    )
    # The one between was refused, and trained nothing.
    assert [one.first_step for one in attempts] == [0, None, num_steps_done]
    first, _, last = (one.worker for one in attempts)
    assert first.startswith(f"{socket.gethostname()} ")
    assert last.startswith(f"{socket.gethostname()} ")
    going_on.stop(signal.SIGTERM)


def test_what_cannot_be_improved_has_no_winner(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "home")
    shell.run("run", str(write_spec(tmp_path, "{initial_bias: 0.0}")))
    best = shell.json("best", "tiny")
    assert (best["winner"], best["confirmed"]) == (None, False)
    assert shell.json("status", "tiny")["state"] == "finished"
    ratios = {r["loss_ratio"] for r in shell.trials("tiny") if r["phase"] == "search"}
    assert ratios == {1.0}


def test_a_diverging_trial_is_failed_and_its_neighbours_are_unharmed(
    finished: Shell, tmp_path: Path
) -> None:
    shell = Shell(tmp_path / "home")
    space = "{learning_rate: {choice: [0.02, 1.0]}}"
    shell.run("run", str(write_spec(tmp_path, space, **{"num_trials: 4": "num_trials: 6"})))
    rows = [row for row in shell.trials("tiny") if row["phase"] == "search"]
    diverged = [row for row in rows if row["params.learning_rate"] == 1.0]
    healthy = [row for row in rows if row["params.learning_rate"] == 0.02]
    assert diverged
    assert healthy
    for row in diverged:
        assert row["state"] == "failed"
        assert row["reason"].startswith("diverged: ")
        assert (row["feasible"], row["loss"]) == (False, None)
    # The baseline itself, bit for bit, beside a neighbour that diverged.
    baseline = next(r for r in finished.trials("tiny") if r["trial_id"] == "baseline/0")
    assert {row["loss"] for row in healthy} == {baseline["loss"]}
    assert shell.json("status", "tiny")["state"] == "finished"


def test_a_baseline_that_diverges_is_said_again_when_the_sweep_is_resumed(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "home")
    spec = write_spec(tmp_path, **{"learning_rate: 0.02": "learning_rate: 1.0"})
    failed = shell.run("run", str(spec), code=1)
    assert "diverged" in failed.stderr
    again = shell.run("resume", "tiny", code=1)
    assert again.stderr.splitlines()[-1] == failed.stderr.splitlines()[-1]


def test_an_unknown_sweep_is_an_error_that_lists_the_known_ones(finished: Shell) -> None:
    for command in (["status"], ["best"], ["resume"], ["export", "--output", "x"]):
        done = finished.run(*command, "tinny", code=2)
        assert "found only: tiny" in " ".join(done.stderr.split())


def test_a_call_that_could_never_train_leaves_its_name_free(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "home")
    spec = str(write_spec(tmp_path))
    nobody = shell.run("run", spec, "--address", "127.0.0.1:9", code=2)
    assert "must be a Ray cluster at --address, found none" in nobody.stderr
    assert shell.json("status") == []
    gpus = write_spec(tmp_path, **{"max_concurrent: 1": "gpus: 64"})
    done = shell.run("run", str(gpus), code=2)
    assert "needs 1 CPUs and 64 GPUs on one machine" in done.stderr
    assert shell.json("status") == []
