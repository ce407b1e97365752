"""The sweep as Parquet tables: trials, curves, neurons. Rebuilt from the ledger at every export."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from service.columns import ATTEMPTS_SCHEMA, CURVES_SCHEMA, NEURONS_SCHEMA, TRIALS_SCHEMA
from service.errors import StorageAwayError, StorageError, UserError
from service.front import front
from service.ledger import Attempt, Ledger
from service.objective import Objective, objective_of
from service.place import TABLES, Table
from service.spec import Spec
from service.storage import Storage
from service.trials import Trial
from trainers.names import METRICS

# An object store answers each call after a while, however small the file is; these wait together.
_NUM_READERS = 8


def export(
    ledger: Ledger, spec: Spec, storage: Storage, folder: Path, asked: Container[str] = TABLES
) -> list[Path]:
    """Write tables of a sweep into a folder; the files written.

    Args:
        ledger: The open ledger.
        spec: The sweep file.
        storage: Where the workers wrote curves and neurons.
        folder: Where to.
        asked: Which of ``TABLES``.

    Raises:
        UserError: If the folder cannot be written to.
        StorageError: If curves or neurons that the ledger names are gone or damaged.
        StorageAwayError: If the storage does not answer.
    """
    trials = ledger.trials(spec.name)
    results = [trial.result for trial in trials if trial.result is not None]
    made: dict[str, Callable[[], pa.Table]] = {
        Table.TRIALS: lambda: trials_table(trials, objective_of(spec)),
        Table.CURVES: lambda: gathered(storage, (one.curves for one in results), CURVES_SCHEMA),
        Table.NEURONS: lambda: gathered(storage, (one.neurons for one in results), NEURONS_SCHEMA),
    }
    return write_tables({name: make() for name, make in made.items() if name in asked}, folder)


def write_tables(tables: Mapping[str, pa.Table], folder: Path) -> list[Path]:
    """Write tables into a folder, each as Parquet under its name; the files written.

    Raises:
        UserError: If the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_write(table, folder / f"{name}.parquet") for name, table in tables.items()]
    except OSError as error:
        raise UserError(
            f"--output must be a folder that can be written to, found: {error}. Name another."
        ) from error


def _write(table: pa.Table, path: Path) -> Path:
    """Write the whole file or none of it."""
    partial = path.with_suffix(".partial")
    pq.write_table(table, partial)
    return partial.replace(path)


def trials_table(trials: Sequence[Trial], objective: Objective) -> pa.Table:
    """One row a trial, ordered by phase and number; what is not known is null."""
    search = [trial for trial in trials if trial.phase == "search"]
    on_front = {trial.trial_id for trial in front(search, objective)}
    rows = [_row(trial, objective, on_front) for trial in trials]
    return pa.Table.from_pylist(rows, TRIALS_SCHEMA)


def _row(trial: Trial, objective: Objective, on_front: Container[str]) -> dict[str, object]:
    result = trial.result
    row: dict[str, object] = {
        "trial_id": trial.trial_id,
        "number": trial.number,
        "phase": trial.phase,
        "role": trial.role,
        "same_as": trial.same_as,
        "state": trial.state,
        "cohort_id": trial.cohort_id,
        "attempts": trial.attempts,
        "num_replicates": len(trial.seeds),
        "seeds": list(trial.seeds),
        "mlflow_run_id": trial.mlflow_run_id,
        **{f"params.{name}": value for name, value in trial.settings.items()},
    }
    if result is not None:
        row |= {
            "reason": result.reason,
            "loss_ratio": result.loss_ratio,
            "num_steps": result.num_steps,
            "train_s": result.train_s,
            **{name: result.metrics.get(name) for name in METRICS},
        }
        if trial.phase == "search":
            row["feasible"] = objective.is_feasible(result, trial.settings)
            row["on_front"] = trial.trial_id in on_front
    return row


def attempts_table(attempts: Iterable[Attempt]) -> pa.Table:
    """One row an execution of a cohort; ``ended_at`` is null while it is at work."""
    rows = [
        {
            "cohort_id": attempt.cohort_id,
            "attempt": attempt.number,
            "worker": attempt.worker,
            "first_step": attempt.first_step,
            "started_at": _microseconds(attempt.started_at),
            "ended_at": _microseconds(attempt.ended_at),
            "outcome": attempt.outcome,
        }
        for attempt in attempts
    ]
    return pa.Table.from_pylist(rows, ATTEMPTS_SCHEMA)


def _microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e6)


@contextmanager
def reading() -> Iterator[None]:
    """Tell a file that is gone from a storage that is away.

    Raises:
        StorageError: Instead of FileNotFoundError.
        StorageAwayError: Instead of any other OSError.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise StorageError(
            f"the storage must hold every file that the ledger names, found one missing ({error}). "
            "Check MONOSWEEP_STORAGE, or whether somebody removed results/."
        ) from error
    except OSError as error:
        raise StorageAwayError(
            f"the storage does not answer: {error}. Check MONOSWEEP_STORAGE, and try again."
        ) from error


def gathered(storage: Storage, paths: Iterable[str | None], schema: pa.Schema) -> pa.Table:
    """The cohorts' tables one below the other, each file once.

    Args:
        storage: Where they lie.
        paths: As results name them; None and what was named before are left out.
        schema: The columns of the answer.

    Raises:
        StorageError: If one of them is gone or damaged.
        StorageAwayError: If the storage does not answer.
    """
    unique = dict.fromkeys(path for path in paths if path is not None)
    with reading(), ThreadPoolExecutor(_NUM_READERS) as readers:
        tables = list(readers.map(storage.read_table, unique))
    try:
        # Attempts of different versions may differ in the width of a number.
        together = pa.concat_tables([schema.empty_table(), *tables], promote_options="permissive")
        return together.select(schema.names).cast(schema)
    except (pa.ArrowException, LookupError) as error:
        raise StorageError(
            f"the storage must hold tables with the columns of a sweep, found others ({error}; "
            f"{', '.join(unique)}). Put back a copy of them."
        ) from error
