"""Cohorts that end at once, to find out how many the driver can look after: a program of its own.

``noop_cohorts.py SETTINGS`` runs the baseline and the search of a sweep and prints JSON. The
ledger, Optuna's sampler, Ray Tune, the driver's code, its progress view (drawn as for a terminal)
and its tidying are the real ones; only what a worker does is left out, and MLflow, whose thread has
a benchmark of its own. Workers stand for no processors, so there may be many.
"""

import cProfile
import json
import pstats
import sys
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from peak_memory import peak_bytes
from ray import tune
from rich.console import Console
from sqlalchemy import Engine, text

from service import cluster, scheduler
from service.cohort import Cohort
from service.driver import driving
from service.ledger import Ledger
from service.life import Life
from service.planning import Resolved
from service.progress import ProgressView
from service.room import Machine, Room
from service.search import resolve_sampler
from service.spec import parse_spec
from service.storage import Storage
from service.tidying import Tidying
from service.trials import Result

SPEC = """\
name: noop
task: {{kind: feature_decoder, num_features: 64, num_inputs: 16, feature_density: 0.03125}}
model: {{num_neurons: 64}}
training: {{num_steps: 1000, batch_size: 32, learning_rate: 0.02, precision: float32}}
search_space: {{initial_bias: {{float: [-1.0, 0.0]}}, bias_decay: {{float: [0.0, 1.0]}}}}
baseline: {{num_seeds: {num_workers}}}
objective: {{maximize: monosemantic_per_feature, loss_margin: 0.5}}
search: {{num_trials: {num_trials}}}
confirmation: {{finalists: 1, num_seeds: 2}}
"""
# Until so many of the search's cohorts have ended, workers are still being started.
WARM_UP = 0.25


@dataclass(frozen=True)
class Settings:
    """What is measured.

    Attributes:
        ledger_url: The ledger's database, in which nothing is yet.
        sampler: Who proposes; ``auto`` for whom a sweep file would get that says nothing.
        num_workers: Cohorts at a time.
        cohort_size: Trials of each.
        num_cohorts: Cohorts of the search.
        num_reports: How often each says how far it is before it ends.
        profile: Whether to find out where the driver's time goes, which then takes longer.
    """

    ledger_url: str
    sampler: str
    num_workers: int
    cohort_size: int
    num_cohorts: int
    num_reports: int
    profile: bool = False


class NoopCohort(tune.Trainable):  # type: ignore[misc]
    """Says how far it is as often as it is told to, and has results at once."""

    num_reports: int

    def setup(self, config: dict[str, Any]) -> None:
        self._cohort: Cohort = config["cohort"]
        self._num_done = 0

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        self._num_done += 1
        report: dict[str, Any] = {
            "first_step": 0,
            "worker": "noop",
            "num_steps_done": self._num_done,
            "warnings": [],
        }
        if self._num_done <= self.num_reports:
            return report
        return {
            **report,
            "results": [self._result(one) for one in self._cohort.trials],
            "done": True,
        }

    def _result(self, trial: Any) -> Result:
        """A better one the nearer the bias is to some value, so that samplers have a model."""
        off = abs(float(trial.settings["initial_bias"]) + 0.3)
        metrics = {
            "loss": 1.0 + 0.1 * off,
            "monosemantic_per_feature": 1.0 - off,
            "monosemantic_per_neuron": 1.0 - off,
            "feature_coverage": 1.0 - off,
        }
        return Result(
            trial_id=trial.trial_id,
            attempt=self._cohort.attempt,
            state="complete",
            metrics=metrics,
            replicates=tuple(metrics for _ in trial.seeds),
            num_steps=1000,
            train_s=1.0,
        )


@dataclass(frozen=True)
class Mark:
    """A moment of the driver's.

    Attributes:
        wall_s: By the clock.
        cpu_s: Processor time of its thread.
        num_bytes: What was written by then, see ``written``.
    """

    wall_s: float
    cpu_s: float
    num_bytes: int


def written(engine: Engine) -> int:
    """Bytes that this process has written; on PostgreSQL those of the server's log instead."""
    if engine.dialect.name == "sqlite":
        return int(psutil.Process().io_counters().write_chars)
    with engine.connect() as connection:
        query = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"
        return int(connection.scalar(text(query)) or 0)


class Timed(Life):
    """Keeps the moments at which cohorts of the search ended, and is done with the search."""

    def __init__(self, engine: Engine, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._engine = engine
        self.ended_at: list[Mark] = []

    def ended(self, cohort_id: str, results: list[Result]) -> None:
        super().ended(cohort_id, results)
        if cohort_id.startswith("search"):
            self.ended_at.append(
                Mark(time.perf_counter(), time.thread_time(), written(self._engine))
            )

    def next_cohort(self) -> Cohort | None:
        cohort = super().next_cohort()
        return None if cohort is None or cohort.phase == "confirmation" else cohort

    @property
    def is_done(self) -> bool:
        return bool(self.ended_at) and self._plan is not None and self._plan.phase == "confirmation"


def run(settings: Settings) -> dict[str, Any]:
    """What a cohort costs the driver."""
    num_trials = settings.num_cohorts * settings.cohort_size
    spec = parse_spec(
        SPEC.format(num_workers=max(settings.num_workers, 2), num_trials=num_trials), origin="noop"
    )
    resolved = Resolved(
        cohort_size=settings.cohort_size,
        max_concurrent=settings.num_workers,
        sampler=resolve_sampler(spec, 0.0, settings.num_workers)
        if settings.sampler == "auto"
        else settings.sampler,
        precision="float32",
        device="cpu",
        cpus=1,
        gpus=0,
    )
    scheduler.CohortTrainable = type(  # type: ignore[misc]
        "CohortTrainable", (NoopCohort,), {"num_reports": settings.num_reports}
    )
    profile = cProfile.Profile()
    with (
        TemporaryDirectory() as folder,
        (Path(folder) / "view.txt").open("w") as seen,
        ProgressView(spec, num_trials, Console(file=seen, force_terminal=True)) as view,
        closing(Ledger(settings.ledger_url)) as ledger,
    ):
        ledger.create_sweep(
            spec.name,
            spec_text=spec.text,
            settings=spec.settings(),
            versions={},
            num_trials=num_trials,
        )
        with driving(ledger, spec.name) as writer:
            writer.record_resolved(resolved.as_json(), [])
            cluster.connect(None, Room((Machine(settings.num_workers, 2**40),)))
            life = Timed(
                ledger.engine,
                spec=spec,
                num_trials=num_trials,
                trials=(),
                ledger=ledger,
                writer=writer,
                resolved=resolved,
                storage=folder,
                watchers=[view, Tidying(Storage(folder), spec.name)],
            )
            if settings.profile:
                profile.enable()
            scheduler.run(life, resolved, Path(folder) / "tune")
            profile.disable()
            cluster.disconnect()
    marks = life.ended_at
    first, tenth = int(WARM_UP * len(marks)), max(len(marks) // 10, 1)
    each = _each(marks[first], marks[-1], len(marks) - first - 1)
    return {
        **asdict(settings),
        "ledger_url": settings.ledger_url.partition(":")[0],
        "sampler": resolved.sampler,
        "cohort_s": each.wall_s,
        "cohort_cpu_s": each.cpu_s,
        "first_tenth": asdict(_each(marks[first], marks[first + tenth], tenth)),
        "last_tenth": asdict(_each(marks[-1 - tenth], marks[-1], tenth)),
        "peak_bytes": peak_bytes(),
        "hot": _hot(profile) if settings.profile else [],
    }


def _each(began: Mark, ended: Mark, num_cohorts: int) -> Mark:
    """What each of some cohorts took."""
    return Mark(
        (ended.wall_s - began.wall_s) / num_cohorts,
        (ended.cpu_s - began.cpu_s) / num_cohorts,
        (ended.num_bytes - began.num_bytes) // num_cohorts,
    )


def _hot(profile: cProfile.Profile) -> list[dict[str, Any]]:
    """Where the driver's thread was most, by function."""
    stats = pstats.Stats(profile).get_stats_profile()
    found = sorted(stats.func_profiles.items(), key=lambda one: -one[1].cumtime)
    return [
        {"function": f"{one.file_name}:{name}", "own_s": one.tottime, "with_calls_s": one.cumtime}
        for name, one in found[:40]
    ]


if __name__ == "__main__":
    print(json.dumps(run(Settings(**json.loads(sys.argv[1])))))
