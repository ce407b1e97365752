"""The baseline's losses at the steps at which trials are stopped early, from its curves."""

from collections.abc import Sequence
from typing import Any

from service.early_stopping import EarlyStopping, rungs
from service.errors import StorageAwayError, StorageError
from service.objective import baseline_rate, objective_of
from service.spec import Spec
from service.storage import Storage
from service.trials import Trial, replicate_seeds


def early_stopping(spec: Spec, baseline: Sequence[Trial], storage: Storage) -> EarlyStopping | None:
    """What a search's cohorts are stopped by, or None where the sweep file has it off.

    Args:
        spec: The sweep file.
        baseline: The baseline's trials, all ended.
        storage: Where their curves lie.

    Raises:
        StorageError: If the curves cannot be read.
        StorageAwayError: If the storage does not answer now.
    """
    stopping = spec.stopping
    if stopping is None:
        return None
    seeds = replicate_seeds(spec.search.seed, spec.search.replicates, fresh=False)
    losses = _losses(baseline, storage)
    return EarlyStopping(
        reduction=stopping.reduction,
        objective=objective_of(spec),
        # Where the baseline itself had no loss to compare with, nobody is stopped.
        baseline={
            rung: {seed: losses[rung, seed] for seed in seeds}
            for rung in rungs(spec)
            if all(losses.get((rung, seed), 0.0) > 0.0 for seed in seeds)
        },
    )


def _losses(baseline: Sequence[Trial], storage: Storage) -> dict[tuple[int, int], float]:
    """Loss by step and seed, of the trials at the baseline's learning rate."""
    rate = baseline_rate(baseline)
    chosen = [
        (trial.trial_id, trial.result.curves)
        for trial in baseline
        if trial.result is not None
        and trial.result.curves is not None
        and trial.settings["learning_rate"] == rate
    ]
    trial_ids = {trial_id for trial_id, _ in chosen}
    return {
        (row["step"], row["seed"]): row["loss"]
        for path in dict.fromkeys(path for _, path in chosen)
        for row in _rows(storage, path)
        if row["trial_id"] in trial_ids
    }


def _rows(storage: Storage, path: str) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = storage.read_table(path).to_pylist()
    except (FileNotFoundError, StorageError) as error:
        raise StorageError(
            "the storage must hold the baseline's curves, which trials are stopped early by, found "
            f"that they cannot be read ({error}). Check MONOSWEEP_STORAGE, or whether somebody "
            "changed results/, and resume."
        ) from error
    except OSError as error:
        raise StorageAwayError(f"the storage does not answer: {error}.") from error
    return rows
