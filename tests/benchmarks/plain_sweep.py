"""The sweep that a user would write from the libraries' own pages: a program of its own.

``plain_sweep.py FOLDER SETTINGS`` trains a baseline on several seeds, then lets Optuna look for the
settings that make most neurons answer to one feature at a loss within the ceiling, and leaves its
runs in ``FOLDER/mlflow.db``. The ceiling is 1.02 times the loss of the baseline on the trials' own
seed. It is put together as the pages say: ``tune.Tuner`` with a function, a trial an actor, which
is Tune's default; ``OptunaSearch`` with its own sampler (TPE); ``MLflowLoggerCallback`` on a local
SQLite database; one processor a trial. What they leave open is left as it comes, and trials report
as many metrics as ours have. Or, where ``tuned`` is set, all of it is chosen for speed: actors that
live on from trial to trial, no dashboard, no table of trials, no artifacts, few reports, and what
`plain_training` says.

No scheduler (ASHA) stops trials on the way: it needs a score at every report, and on the pages
there is none for an objective that counts only where a constraint holds, which is known of a
network that is trained to its end.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from machine_limit import Sizes
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.search.optuna import OptunaSearch

MARGIN = 0.02
# Of all trials of the search; one of the baseline's.
TRIALS_SEED = 0
NUM_CPUS = 2


@dataclass(frozen=True)
class Settings:
    """What is swept.

    Attributes:
        sizes: The task's, the baseline's network and the batch.
        num_steps: Steps of each training.
        num_trials: Trials of the search, all on one seed.
        num_seeds: Trainings of the baseline, on the seeds from 0 on.
        seed: Of Optuna's sampler.
        bias: Lowest and highest mean of the biases at first.
        decay: Lowest and highest bias decay, even over the logarithm.
        width: Lowest and highest number of neurons, and between two.
        tuned: Whether speed decides what the pages leave open.
        half: Whether products are bfloat16.
    """

    sizes: tuple[int, int, int, int]
    num_steps: int
    num_trials: int
    num_seeds: int
    seed: int
    bias: tuple[float, float]
    decay: tuple[float, float]
    width: tuple[int, int, int]
    tuned: bool
    half: bool

    def as_json(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))


def trial(config: Mapping[str, Any]) -> None:
    """Train one network, report on it."""
    import torch
    from plain_training import Training, train

    torch.set_num_threads(1)
    num_features, num_inputs, _, batch_size = config["sizes"]
    training = Training(
        Sizes(num_features, num_inputs, config["num_neurons"], batch_size),
        config["num_steps"],
        config["seed"],
        config["initial_bias"],
        config["bias_decay"],
    )
    for report in train(training, tuned=config["tuned"], half=config["half"]):
        if "loss" in report:
            beyond = report["loss"] / config["ceiling"] - 1.0
            report["score"] = report["monosemantic_per_feature"] if beyond <= 0 else -beyond
        tune.report({"score": -1.0, **report})


def sweep(settings: Settings, folder: Path) -> None:
    """The baseline, then the search."""

    def fitted(phase: str, space: Mapping[str, Any], config: tune.TuneConfig) -> tune.ResultGrid:
        logger = MLflowLoggerCallback(
            tracking_uri=f"sqlite:///{folder / 'mlflow.db'}",
            experiment_name=phase,
            save_artifact=not settings.tuned,
        )
        tuner = tune.Tuner(
            tune.with_resources(trial, {"cpu": 1}),
            param_space={**fixed, **space},
            tune_config=config,
            run_config=tune.RunConfig(
                name=phase,
                storage_path=str(folder / "tune"),
                callbacks=[logger],
                **({"verbose": 0} if settings.tuned else {}),
            ),
        )
        return tuner.fit()

    fixed = {name: getattr(settings, name) for name in ("sizes", "num_steps", "tuned", "half")}
    baseline = fitted(
        "baseline",
        {
            "seed": tune.grid_search(list(range(settings.num_seeds))),
            "initial_bias": 0.0,
            "bias_decay": 0.0,
            "num_neurons": settings.sizes[2],
            "ceiling": float("inf"),
        },
        tune.TuneConfig(reuse_actors=settings.tuned),
    )
    (loss,) = (one.metrics["loss"] for one in baseline if one.config["seed"] == TRIALS_SEED)
    fitted(
        "search",
        {
            "seed": TRIALS_SEED,
            "initial_bias": tune.uniform(*settings.bias),
            "bias_decay": tune.loguniform(*settings.decay),
            "num_neurons": tune.qrandint(*settings.width),
            "ceiling": (1.0 + MARGIN) * loss,
        },
        tune.TuneConfig(
            metric="score",
            mode="max",
            search_alg=OptunaSearch(seed=settings.seed),
            num_samples=settings.num_trials,
            max_concurrent_trials=NUM_CPUS,
            reuse_actors=settings.tuned,
        ),
    )


if __name__ == "__main__":
    wanted = Settings(**json.loads(sys.argv[2]))
    options = {"include_dashboard": False, "log_to_driver": False} if wanted.tuned else {}
    # Workers import the training from the folder of this file.
    here = str(Path(__file__).parent)
    # Not one that somebody else has here.
    ray.init(
        address="local",
        num_cpus=NUM_CPUS,
        runtime_env={"env_vars": {"PYTHONPATH": here}},
        **options,
    )
    sweep(wanted, Path(sys.argv[1]))
