"""Batches of the paper through the command line: real training, a real Ray, SQLite, MLflow."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from shell import PATIENCE_S, Shell

LR3 = ("paper", "LR3", "--scale", "16", "--steps", "64", "--batch-size", "32")
NAME = "paper-LR3-scale16-steps64-batch32"
RATES = [0.001, 0.003, 0.005, 0.007, 0.01, 0.03]
# Two densities of E1 instead of eleven: a sweep for each.
DENSITIES = """
import json
from dataclasses import replace
from search_spaces.paper import BATCHES
from service.home import Home
from service.paper.scaling import Scaling, scaled
from service.paper.training import trained

batch = replace(BATCHES["E1"], feature_density=(0.125, 0.5))
scaling = Scaling(scale=16, num_steps=64, batch_size=32)
result = trained(scaled(batch, scaling), Home.from_environment())
print(json.dumps(result.as_json()))
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """LR3, stopped in its search and gone on with by the same command."""
    shell = Shell(tmp_path_factory.mktemp("paper") / "home")
    stopped = shell.start(*LR3)
    stopped.until("search: 0 of 6")
    said = " ".join(stopped.stop(signal.SIGTERM).split())
    assert f"Or go on with all of it: monosweep {' '.join(LR3)}" in said
    done = shell.run(*LR3)
    assert "search 6/6" in done.stderr
    assert "baseline 1/2" not in done.stderr
    return shell


@pytest.fixture(scope="module")
def rows(shell: Shell) -> list[dict[str, Any]]:
    """Its trials, as they were before it was shown."""
    return shell.trials(NAME)


def test_a_batch_is_an_ordinary_sweep(shell: Shell, rows: list[dict[str, Any]]) -> None:
    status = shell.json("status", NAME)
    assert (status["state"], status["trials"]["complete"]) == ("finished", 6)
    search = [row for row in rows if row["phase"] == "search"]
    assert sorted(row["params.learning_rate"] for row in search) == RATES
    assert {row["num_steps"] for row in search} == {64}
    # 0.03 * 2048, but no more than 0.5 / 0.03
    assert [row["params.bias_decay"] for row in search] == pytest.approx([0.5 / 0.03] * 6)
    assert [row["phase"] for row in rows].count("confirmation") == 0
    client = MlflowClient(f"sqlite:///{shell.home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(f"monosweep/{NAME}")
    assert len(client.search_runs([experiment.experiment_id])) == len(rows) + 1


def test_a_batch_that_is_there_is_shown_and_not_trained_again(
    shell: Shell, rows: list[dict[str, Any]]
) -> None:
    done = shell.run(*LR3)
    assert "starting workers" not in done.stderr
    assert shell.trials(NAME) == rows
    said = " ".join(done.stdout.split())
    assert "Size: 32 features, 4 inputs, 64 neurons, the paper's divided by 16." in said
    assert "Training: 64 steps (1/2048 of the paper's 131072)" in said
    assert "it is capped at 0.5 / 0.03" in said
    assert "at this size and budget:" in said
    for loss in [row["loss"] for row in rows if row["phase"] == "search"]:
        assert f"{loss:.4f}" in said


def test_its_numbers_for_programs(shell: Shell, rows: list[dict[str, Any]]) -> None:
    found = shell.json(*LR3)
    assert [point["settings"]["learning_rate"] for point in found["points"]] == RATES
    by_id = {row["trial_id"]: row for row in rows}
    for point in found["points"]:
        row = by_id[point["trial_id"]]
        assert point["settings"]["learning_rate"] == row["params.learning_rate"]
        assert point["metrics"]["loss"] == row["loss"]
        assert point["loss_ratio"] == row["loss_ratio"]
    assert found["sweeps"] == [NAME]
    assert found["claim"]["verdict"] in ("held", "held in part", "not held")
    assert len(found["claim"]["evidence"]) == 2


@pytest.mark.occasional
def test_each_density_is_a_sweep_and_together_they_are_the_batch(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "home")
    done = subprocess.run(
        [sys.executable, "-c", DENSITIES],
        env=shell.environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [point["settings"]["feature_density"] for point in found["points"]] == [0.125, 0.5]
    # Four times as many features are active: there is more to get wrong.
    few, many = (point["metrics"]["loss"] for point in found["points"])
    assert many > 2 * few
    assert found["sweeps"] == [
        "paper-E1-scale16-steps64-batch32-density01",
        "paper-E1-scale16-steps64-batch32-density02",
    ]
    assert len(shell.json("status")) == 2
