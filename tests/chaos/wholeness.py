"""What must hold of a sweep that has ended, however often it was killed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from optuna.trial import FrozenTrial
from sqlalchemy import func, select
from victim import NAME, Victim

from service import doctor
from service.ledger import Ledger, tables
from service.ledger.studies import study_name
from service.spec import parse_spec
from service.trials import PHASES, Trial

# All that the README says is in a home.
DOCUMENTED = {
    *("ledger.db", "ledger.db.lock", "mlflow.db", "mlflow.db.lock"),
    # SQLite's own, until somebody closes the database as its last user.
    *("mlflow.db-wal", "mlflow.db-shm"),
    *("artifacts", "results", "cohorts", "tune"),
}
# What must be the same however often a sweep was killed, one cohort at a time.
NUMBERS = ("loss", "monosemantic_per_feature", "feature_coverage", "mean_bias")


class AmissError(AssertionError):
    """Something was lost, doubled or left behind."""


def check_is_whole(victim: Victim) -> None:
    """Every trial ended once, told once, with one run in MLflow; nothing left behind.

    Raises:
        AmissError: If not.
    """
    with closing(Ledger(victim.home.ledger_url, create=False)) as ledger:
        trials = ledger.trials(NAME)
        _check_budget(victim, trials)
        _check_told_once(victim, ledger, trials)
        _check_nobody_is_at_work(victim, ledger, trials)
    _check_runs(victim, trials)
    _check_files(victim)
    report = doctor.examine(victim.home)
    found = [finding.message for finding in report.findings if not finding.is_well]
    _check(victim, report.is_well, f"doctor finds: {found}")


def check_is_kept(victim: Victim, before: Sequence[Trial]) -> None:
    """What was recorded before it was killed is as it was: it went on, and did not begin anew.

    Raises:
        AmissError: If not.
    """
    after = {trial.trial_id: trial for trial in victim.trials()}
    for trial in before:
        _check(victim, trial.trial_id in after, f"{trial.trial_id} is lost")
        now = after[trial.trial_id]
        asked = [(one.settings, one.seeds, one.role) for one in (trial, now)]
        _check(victim, asked[0] == asked[1], f"{trial.trial_id} is another one")
        _check(victim, trial.result in (None, now.result), f"{trial.trial_id} has another result")
        run_id = trial.mlflow_run_id
        _check(victim, run_id in (None, now.mlflow_run_id), f"{trial.trial_id} has another run")


def check_is_same(victim: Victim, untouched: Victim) -> None:
    """The numbers of a sweep that nobody touched, the verdict's included.

    Raises:
        AmissError: If one differs.
    """
    _check(victim, _numbers(victim) == _numbers(untouched), "other numbers than without kills")


def _check(victim: Victim, holds: bool, what: str) -> None:
    if not holds:
        raise AmissError(f"{what} (see {victim.folder})")


def _check_budget(victim: Victim, trials: Sequence[Trial]) -> None:
    spec = parse_spec(victim.spec, origin="chaos")
    counts = Counter(trial.phase for trial in trials)
    _check(victim, counts["search"] == spec.search.num_trials, f"budget: {counts}")
    _check(victim, counts["baseline"] == spec.baseline.num_seeds, f"baseline: {counts}")
    _check(victim, all(trial.result for trial in trials), "a trial has not ended")
    ended = {"complete"} if spec.stopping is None else {"complete", "pruned"}
    _check(victim, {trial.state for trial in trials} == ended, "a trial ended otherwise")


def _check_told_once(victim: Victim, ledger: Ledger, trials: Sequence[Trial]) -> None:
    """Optuna has each trial once, with the value and the constraint of its result."""
    spec = parse_spec(victim.spec, origin="chaos")
    for phase in PHASES:
        study_id = ledger.storage.get_study_id_from_name(study_name(NAME, phase))
        told = ledger.storage.get_all_trials(study_id)
        of_phase = [trial for trial in trials if trial.phase == phase]
        _check(victim, len(told) == len(of_phase), f"{phase} has {len(told)} trials in Optuna")
        name = "loss" if phase == "baseline" else "monosemantic_per_feature"
        for frozen, trial in zip(told, of_phase, strict=True):
            wanted = _as_told(trial, name, 1.0 + float(spec.objective.loss_margin or 0.0))
            _check(
                victim,
                (frozen.state.name, frozen.values, _constraint(frozen)) == wanted,
                f"{trial.trial_id} was told {frozen.values}, {frozen.constraints}, not {wanted}",
            )


def _as_told(trial: Trial, name: str, ceiling: float) -> tuple[str, list[float] | None, Any]:
    assert trial.result is not None
    if trial.state == "pruned":
        return "PRUNED", None, None
    ratio = trial.result.loss_ratio
    return (
        "COMPLETE",
        [trial.result.metrics[name]],
        None if trial.phase != "search" or ratio is None else ratio - ceiling,
    )


def _constraint(frozen: FrozenTrial) -> float | None:
    return frozen.constraints.get("loss_ratio")


def _check_nobody_is_at_work(victim: Victim, ledger: Ledger, trials: Sequence[Trial]) -> None:
    with ledger.engine.connect() as connection:
        open_attempts = connection.scalar(
            select(func.count()).where(tables.attempts.c.ended_at.is_(None))
        )
        num_leases = connection.scalar(select(func.count()).select_from(tables.leases))
        brought = Counter(
            connection.scalars(
                select(tables.attempts.c.cohort_id).where(
                    tables.attempts.c.outcome == tables.RECORDED
                )
            )
        )
    _check(victim, open_attempts == 0, f"{open_attempts} attempts are open")
    _check(victim, num_leases == 0, "the lease is held")
    cohort_ids = {trial.cohort_id for trial in trials}
    _check(victim, brought == Counter(cohort_ids), f"results came from {brought}")


def _check_runs(victim: Victim, trials: Sequence[Trial]) -> None:
    client = MlflowClient(victim.home.tracking_uri)
    experiment = client.get_experiment_by_name(f"monosweep/{NAME}")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    found = Counter(run.data.tags.get("monosweep.trial", "summary") for run in runs)
    wanted = Counter(["summary", *(trial.trial_id for trial in trials)])
    _check(victim, found == wanted, f"MLflow: {found - wanted} too many, {wanted - found} missing")
    _check(victim, {run.info.status for run in runs} == {"FINISHED"}, "a run is not finished")


def _check_files(victim: Victim) -> None:
    home = victim.home.path
    strange = {path.name for path in home.iterdir()} - DOCUMENTED
    _check(victim, not strange, f"in the home there is {strange}")
    left = [*_files(home / "cohorts"), *_files(home / "tune"), *home.rglob("*.partial*")]
    _check(victim, not left, f"files are left: {left}")


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _numbers(victim: Victim) -> Mapping[str, Any]:
    with closing(Ledger(victim.home.ledger_url, create=False)) as ledger:
        trials = ledger.trials(NAME)
        verdict = ledger.sweep(NAME).verdict
    return {
        "verdict": verdict,
        "trials": [
            (trial.trial_id, trial.settings, trial.seeds, trial.role, trial.state, _result(trial))
            for trial in trials
        ],
    }


def _result(trial: Trial) -> tuple[Any, ...]:
    result = trial.result
    assert result is not None
    metrics = tuple(result.metrics.get(name) for name in NUMBERS)
    return result.loss_ratio, result.num_steps, result.reason, *metrics
