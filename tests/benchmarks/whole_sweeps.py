"""Two programs that sweep the same space, timed from their commands: ours, and the plain sweep."""

import math
import os
import sqlite3
import statistics
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "integration"))

from machine_limit import Sizes
from plain_sweep import MARGIN, Settings
from shell import Shell

from search_spaces import Int
from service.ledger import Ledger
from service.machine import has_bfloat16_products
from service.objective import objective_of
from service.spec import Spec, parse_spec
from service.trials import Trial

NUM_SEEDS = 4
SPEC = """\
name: {name}
task: {{kind: feature_decoder, num_features: {num_features}, num_inputs: {num_inputs},
        feature_density: 0.015625}}
model: {{num_neurons: {num_neurons}}}
training: {{num_steps: {num_steps}, batch_size: {batch_size}, learning_rate: 0.01, optimizer: adam}}
search_space: bias_and_width
baseline: {{num_seeds: {num_seeds}}}
objective: {{maximize: monosemantic_per_feature, loss_margin: 0.02}}
search: {{num_trials: {num_trials}, seed: {seed}}}
early_stopping: {early_stopping}
confirmation: null
"""


@dataclass(frozen=True)
class Ended:
    """A network's training, as it was kept.

    Attributes:
        began_s: When, in seconds from the command. Of ours that of its cohort.
        ended_s: When its result was kept.
        value: Monosemantic neurons per feature, of a trial of the search that may be best.
    """

    began_s: float
    ended_s: float
    value: float | None = None


@dataclass(frozen=True)
class Swept:
    """A whole sweep.

    Attributes:
        trials: Its trainings.
        command_s: Seconds from the command to its end.
        num_workers: Processes that trained; each begins by reading torch.
    """

    trials: tuple[Ended, ...]
    command_s: float
    num_workers: int = 1

    @property
    def last_s(self) -> float:
        """When the last training had ended."""
        return max(one.ended_s for one in self.trials)

    @property
    def first_s(self) -> float:
        """When the first one began."""
        return min(one.began_s for one in self.trials)

    @property
    def an_hour(self) -> float:
        """Trainings an hour, from the command to the end of the last one."""
        return 3600.0 * len(self.trials) / self.last_s

    @property
    def best(self) -> float | None:
        """The best value of the search that is within the margin."""
        return max((one.value for one in self.trials if one.value is not None), default=None)

    def reached_s(self, value: float) -> float:
        """When it was as good as this; infinity if never."""
        good = (one.ended_s for one in self.trials if one.value is not None and one.value >= value)
        return min(good, default=math.inf)

    def as_json(self) -> dict[str, Any]:
        """What is written of it."""
        return {
            "num_trials": len(self.trials),
            "num_workers": self.num_workers,
            "trials_per_hour": self.an_hour,
            "trials_per_hour_of_search_alone": 3600.0
            * len(self.trials)
            / (self.last_s - self.first_s),
            "first_s": self.first_s,
            "last_s": self.last_s,
            "command_s": self.command_s,
            "best": self.best,
        }


def sweep_spec(
    sizes: Sizes,
    num_steps: int,
    num_trials: int,
    *,
    num_seeds: int = NUM_SEEDS,
    seed: int = 0,
    early_stopping: str = "null",
) -> Spec:
    """The sweep file; ``early_stopping`` as it is written there."""
    text = SPEC.format(
        name="bench",
        **vars(sizes),
        num_steps=num_steps,
        num_trials=num_trials,
        num_seeds=num_seeds,
        seed=seed,
        early_stopping=early_stopping,
    )
    return parse_spec(text, origin="bench_sweep.py")


def plain_settings(spec: Spec, *, half: bool) -> Settings:
    """The same for the plain sweep: its space is the one that the sweep file stands for."""

    def bounds(name: str) -> tuple[float, float]:
        low, high = spec.space.bounds(name, 0.0)
        return float(low), float(high)

    low, high = bounds("num_neurons")
    width = spec.space["num_neurons"]
    assert isinstance(width, Int)
    task, training = spec.task, spec.training
    return Settings(
        sizes=(task.num_features, task.num_inputs, spec.model.num_neurons, training.batch_size),
        num_steps=training.num_steps,
        num_trials=spec.search.num_trials,
        num_seeds=spec.baseline.num_seeds,
        bias=bounds("initial_bias"),
        decay=bounds("bias_decay"),
        width=(int(low), int(high), width.step),
        half=half and has_bfloat16_products(),
    )


def ours(spec: Spec) -> Swept:
    """Run the sweep by the command, in a home of its own."""
    with TemporaryDirectory(prefix="monosweep-bench-") as folder:
        file = Path(folder) / "sweep.yaml"
        file.write_text(spec.text)
        shell = Shell(Path(folder) / "home", {"MONOSWEEP_SHOWCASE": "on"})
        began = time.time()
        shell.run("run", str(file), seconds=3600.0)
        command_s = time.time() - began
        with closing(Ledger(f"sqlite:///{shell.home / 'ledger.db'}", create=False)) as ledger:
            trials = ledger.trials(spec.name)
            attempts = {one.cohort_id: one for one in ledger.attempts(spec.name)}
    kept = [(one, attempts[one.cohort_id]) for one in trials if one.same_as is None]
    return Swept(
        tuple(
            Ended(at.started_at - began, (at.ended_at or math.inf) - began, _value(spec, one))
            for one, at in kept
        ),
        command_s,
        len({at.worker for _, at in kept}),
    )


def _value(spec: Spec, trial: Trial) -> float | None:
    objective, result = objective_of(spec), trial.result
    if trial.phase != "search" or result is None or result.state != "complete":
        return None
    if not objective.is_feasible(result, trial.settings):
        return None
    (value,) = objective.values(result, trial.settings) or (None,)
    return value


def plain(spec: Spec, *, half: bool) -> Swept:
    """Run the plain sweep by its command, in a folder of its own; read what its MLflow says."""
    with TemporaryDirectory(prefix="monosweep-bench-") as name:
        folder = Path(name)
        program = str(Path(__file__).with_name("plain_sweep.py"))
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MLFLOW_", "RAY_"))
        }
        began = time.time()
        with (folder / "said").open("w") as said:
            subprocess.run(
                [sys.executable, program, name, plain_settings(spec, half=half).as_json()],
                cwd=name,
                env=kept,
                stdout=said,
                stderr=subprocess.STDOUT,
                check=True,
            )
        command_s = time.time() - began
        with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
            runs = _runs(connection)
    losses = [one["loss"] for one in runs if one["phase"] == "baseline"]
    ceiling = (1.0 + MARGIN) * statistics.mean(losses)
    return Swept(
        tuple(
            Ended(
                one["began"] - began,
                one["ended"] - began,
                one["monosemantic_per_feature"]
                if one["phase"] == "search" and one["loss"] <= ceiling
                else None,
            )
            for one in runs
        ),
        command_s,
        len(runs),
    )


def _runs(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """Phase, beginning, end and last metrics of each run."""
    query = """
        SELECT runs.run_uuid, experiments.name, runs.start_time, runs.end_time FROM runs
        JOIN experiments USING (experiment_id)
    """
    metrics = "SELECT key, value FROM latest_metrics WHERE run_uuid = ?"
    return [
        {
            **dict(connection.execute(metrics, (run_id,)).fetchall()),
            "phase": phase,
            "began": began / 1e3,
            "ended": ended / 1e3,
        }
        for run_id, phase, began, ended in connection.execute(query).fetchall()
    ]
