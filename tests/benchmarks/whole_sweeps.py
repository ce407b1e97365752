"""Two programs that sweep the same space, timed from their commands: ours, and the plain sweep."""

import math
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "integration"))

from entry_point import bare_environment
from machine_limit import Sizes
from plain_sweep import MARGIN, TRIALS_SEED, Settings
from shell import Shell

from search_spaces import Int
from service.ledger import Ledger
from service.machine import has_bfloat16_products
from service.objective import objective_of
from service.spec import Spec, parse_spec
from service.trials import Trial

NUM_SEEDS = 4
PATIENCE_S = 3600.0
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
        ended_s: When its result was kept: ours in the ledger, the plain sweep's when its run in
            MLflow had ended.
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
    def trial_s(self) -> float:
        """Seconds a training, from the command to the end of the last one."""
        return self.last_s / len(self.trials)

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
            "trials_per_hour": 3600.0 / self.trial_s,
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


def plain_settings(spec: Spec, *, tuned: bool) -> Settings:
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
        seed=spec.search.seed,
        bias=bounds("initial_bias"),
        decay=bounds("bias_decay"),
        width=(int(low), int(high), width.step),
        tuned=tuned,
        half=tuned and has_bfloat16_products(),
    )


def ours(spec: Spec) -> Swept:
    """Run the sweep by the command, in a home of its own."""
    with TemporaryDirectory(prefix="monosweep-bench-") as folder:
        file = Path(folder) / "sweep.yaml"
        file.write_text(spec.text)
        shell = Shell(Path(folder) / "home", {"MONOSWEEP_SHOWCASE": "on"})
        began = time.time()
        shell.run("run", str(file), seconds=PATIENCE_S)
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


def plain(spec: Spec, *, tuned: bool) -> Swept:
    """Run the plain sweep by its command, in a folder of its own; read what its MLflow says.

    Raises:
        RuntimeError: If it fails or does not end, or one of its trainings did.
    """
    settings = plain_settings(spec, tuned=tuned)
    with TemporaryDirectory(prefix="monosweep-bench-") as name:
        began = time.time()
        _run_plain(settings, Path(name))
        command_s = time.time() - began
        with closing(sqlite3.connect(Path(name) / "mlflow.db")) as connection:
            runs = _runs(connection)
    (baseline,) = (
        one for one in runs if one["phase"] == "baseline" and int(one["seed"]) == TRIALS_SEED
    )
    ceiling = (1.0 + MARGIN) * baseline["loss"]
    return Swept(
        tuple(
            Ended(one["began"] - began, one["ended"] - began, _plain_value(one, ceiling))
            for one in runs
        ),
        command_s,
        len({one["pid"] for one in runs}),
    )


def _run_plain(settings: Settings, folder: Path) -> None:
    program = str(Path(__file__).with_name("plain_sweep.py"))
    said = folder / "said"
    with said.open("w") as file:
        try:
            subprocess.run(
                [sys.executable, program, str(folder), settings.as_json()],
                cwd=folder,
                env=bare_environment(),
                stdout=file,
                stderr=subprocess.STDOUT,
                check=True,
                timeout=PATIENCE_S,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as failed:
            end = said.read_text(errors="replace")[-2000:]
            message = f"the plain sweep must end well, but: {failed}. It said last:\n{end}"
            raise RuntimeError(message) from failed


def _plain_value(run: Mapping[str, Any], ceiling: float) -> float | None:
    """Of a trial of the search whose loss is a number within the ceiling."""
    if run["phase"] != "search" or run.get("loss", math.inf) > ceiling:
        return None
    return run.get("monosemantic_per_feature")


def _runs(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """Phase, beginning, end, seed and last metrics of each run; no metric that is not a number.

    Raises:
        RuntimeError: If a run has not ended, or failed.
    """
    query = """
        SELECT run_uuid, experiments.name, status, start_time, end_time, params.value FROM runs
        JOIN experiments USING (experiment_id) JOIN params USING (run_uuid)
        WHERE params.key = 'seed'
    """
    # MLflow keeps what is not a number as 0, with a mark.
    metrics = "SELECT key, value FROM latest_metrics WHERE run_uuid = ? AND NOT is_nan"
    found = []
    for run_id, phase, status, began, ended, seed in connection.execute(query).fetchall():
        if status != "FINISHED" or ended is None:
            message = f"runs must have ended well, found {status} at {ended} ({phase}, {run_id})"
            raise RuntimeError(message)
        found.append(
            {
                **dict(connection.execute(metrics, (run_id,)).fetchall()),
                "phase": phase,
                "seed": seed,
                "began": began / 1e3,
                "ended": ended / 1e3,
            }
        )
    return found
