"""Kill a sweep's whole process tree at random moments, resume it, and see that nothing is amiss.

Run by ``make chaos``: 100 kills over small sweeps, some 25 minutes on 2 cores. The moments come
from a printed seed; ``--seed`` repeats them (what is then at work depends on the machine too).
"""

import argparse
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

SPEC = """\
name: chaos
task: {kind: feature_decoder, num_features: 64, num_inputs: 16, feature_density: 0.03125}
model: {num_neurons: 64}
training: {num_steps: 4096, batch_size: 32, learning_rate: 0.02, precision: float32}
search_space: bias_and_width
baseline: {num_seeds: 2}
objective: {maximize: monosemantic_per_feature, loss_margin: 0.5}
search: {num_trials: 4}
confirmation: {finalists: 1, num_seeds: 2}
compute: {cohort_size: 2, max_concurrent: 1, checkpoint_s: 0.2}
"""
NUM_SEARCH_TRIALS = 4
KILLS_A_SWEEP = 10
# Kills come between a driver's start and this much later; it needs some 5 s to start Ray.
LATEST_KILL_S = 16.0
GIVE_UP_S = 180.0
# What must be the same however often a sweep was killed, one cohort at a time.
NUMBERS = ("loss", "loss_ratio", "monosemantic_per_feature", "feature_coverage", "mean_bias")


@dataclass
class Sweep:
    """One sweep in a home of its own, and how it is started, killed and looked at."""

    folder: Path
    hits: Counter[str] = field(default_factory=Counter)

    @property
    def home(self) -> Path:
        """Where everything of it lies."""
        return self.folder / "home"

    def start(self) -> "subprocess.Popen[bytes]":
        """Begin it, or go on with it."""
        spec = self.folder / "chaos.yaml"
        spec.write_text(SPEC)
        words = ["resume", "chaos"] if (self.home / "ledger.db").exists() else ["run", str(spec)]
        if words[0] == "resume" and self._has_no_sweep():
            words = ["run", str(spec)]
        return self.says(*words)

    def says(self, *words: str) -> "subprocess.Popen[bytes]":
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "service.cli", *words],
            env=self._environment(),
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "stderr.txt").open("ab"),
            start_new_session=True,
        )

    def _has_no_sweep(self) -> bool:
        """Whether it was killed before its first act was done."""
        from service.errors import MonosweepError
        from service.ledger import Ledger

        try:
            return "chaos" not in Ledger(self._url(), create=False).names()
        except MonosweepError:
            return True

    def _environment(self) -> dict[str, str]:
        elsewhere = ("MONOSWEEP_", "MLFLOW_", "RAY_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(elsewhere)}
        return {**kept, "MONOSWEEP_HOME": str(self.home)}

    def _url(self) -> str:
        return f"sqlite:///{self.home / 'ledger.db'}"

    def kill_after(self, seconds: float) -> bool:
        """Start it and kill its whole tree so much later; False if it had ended by then."""
        driver = self.start()
        try:
            code = driver.wait(seconds)
        except subprocess.TimeoutExpired:
            self.hits[self._phase()] += 1
            kill_tree(driver.pid)
            driver.wait()
            return True
        self._check(code == 0, f"ended with {code}: {self._said()}")
        return False

    def finish(self) -> None:
        """Let it go on to its end."""
        driver = self.start()
        code = driver.wait(GIVE_UP_S)
        self._check(code == 0, f"ended with {code}: {self._said()}")

    def _said(self) -> str:
        return (self.folder / "stderr.txt").read_text()[-2000:]

    def _phase(self) -> str:
        from service.errors import MonosweepError
        from service.ledger import Ledger

        try:
            return Ledger(self._url(), create=False).sweep("chaos").phase
        except MonosweepError:
            return "nothing yet"

    def _check(self, holds: bool, what: str) -> None:
        if not holds:
            raise AssertionError(f"{what} (see {self.folder})")

    def numbers(self) -> list[Mapping[str, Any]]:
        """Of each trial what must not depend on how often it was killed."""
        from service.ledger import Ledger

        return [
            {
                "trial": trial.trial_id,
                "settings": dict(trial.settings),
                "seeds": trial.seeds,
                "state": trial.state,
                **{name: trial.result.metrics.get(name) for name in NUMBERS if trial.result},
            }
            for trial in Ledger(self._url(), create=False).trials("chaos")
        ]

    def check_is_whole(self) -> None:
        """Every trial ended once, told once, with one run in MLflow; nothing left behind."""
        from mlflow import MlflowClient

        from service.ledger import Ledger

        ledger = Ledger(self._url(), create=False)
        trials = ledger.trials("chaos")
        counts = Counter(trial.phase for trial in trials)
        self._check(counts["search"] == NUM_SEARCH_TRIALS, f"budget: {counts}")
        self._check(all(trial.result for trial in trials), "a trial has not ended")
        self._check({t.state for t in trials} == {"complete"}, "a trial did not complete")
        for study in ledger.storage.get_all_studies():
            states = {t.state.name for t in ledger.storage.get_all_trials(study._study_id)}
            self._check(states == {"COMPLETE"}, f"{study.study_name} has {states}")
        client = MlflowClient(f"sqlite:///{self.home / 'mlflow.db'}")
        experiment = client.get_experiment_by_name("monosweep/chaos")
        runs = client.search_runs([experiment.experiment_id], max_results=1000)
        found = Counter(run.data.tags.get("monosweep.trial", "summary") for run in runs)
        wanted = Counter(["summary", *(trial.trial_id for trial in trials)])
        self._check(
            found == wanted, f"MLflow has {found - wanted} too many, lacks {wanted - found}"
        )
        self._check({run.info.status for run in runs} == {"FINISHED"}, "a run is not finished")
        left = list((self.home / "cohorts").rglob("*.safetensors"))
        self._check(not left, f"checkpoints are left: {left}")
        ledger.close()


def kill_tree(pid: int) -> None:
    """SIGKILL for a process and all that it started, at one moment as far as that goes."""
    parent = psutil.Process(pid)
    tree = [parent, *parent.children(recursive=True)]
    for process in tree:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(tree[1:], timeout=10)


def chaos(num_kills: int, seed: int, folder: Path) -> Counter[str]:
    """Kill sweeps so often in all; the phases that were hit.

    Raises:
        AssertionError: If anything of a sweep is amiss afterwards.
    """
    rng = random.Random(seed)
    untouched = Sweep(folder / "untouched")
    untouched.folder.mkdir()
    untouched.finish()
    untouched.check_is_whole()
    expected = untouched.numbers()
    hits: Counter[str] = Counter()
    number = 0
    while hits.total() < num_kills:
        sweep = Sweep(folder / f"sweep-{number}")
        sweep.folder.mkdir()
        for _ in range(KILLS_A_SWEEP):
            if hits.total() + sweep.hits.total() == num_kills:
                break
            if not sweep.kill_after(rng.uniform(0.0, LATEST_KILL_S)):
                break
        sweep.finish()
        sweep.check_is_whole()
        if sweep.numbers() != expected:
            raise AssertionError(f"other numbers than without kills (see {sweep.folder})")
        hits += sweep.hits
        number += 1
        print(f"{hits.total()} of {num_kills} kills, {number} sweeps whole", flush=True)
    return hits


def main() -> None:
    """Kill, resume, check, and say what was hit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with TemporaryDirectory(prefix="monosweep-chaos-") as name:
        hits = chaos(options.kills, options.seed, Path(name))
    print(", ".join(f"{phase}: {count}" for phase, count in sorted(hits.items())))


if __name__ == "__main__":
    main()
