"""A cohort: trials in, results out. Runs on a worker, and knows nothing of who schedules it."""

import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from service.checkpoints import Checkpoints
from service.storage import Storage
from service.trials import Phase, Result, Trial

if TYPE_CHECKING:
    from trainers import CohortState, Curve, Member, Outcome, Task, TrainingSettings

CHECKPOINT_S = 30.0
# Of curves and neurons, below the storage.
FOLDER = "results"


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Trials that are trained side by side as one vectorised model.

    Attributes:
        sweep: The sweep's name.
        cohort_id: ``search-3``: unique in the sweep.
        attempt: Which execution of the cohort this is, from 1.
        trials: Its trials.
        task: Fields of the trainers' ``Task``.
        training: Fields of the trainers' ``TrainingSettings``.
        num_threads: Threads that the cohort may use.
        storage: Where its curves, neurons and checkpoints go.
        checkpoint_s: Seconds between two checkpoints.
    """

    sweep: str
    cohort_id: str
    attempt: int
    trials: tuple[Trial, ...]
    task: Mapping[str, Any]
    training: Mapping[str, Any]
    num_threads: int
    storage: str
    checkpoint_s: float = CHECKPOINT_S

    @property
    def phase(self) -> Phase:
        """The phase that all its trials belong to."""
        return self.trials[0].phase


class CohortTraining:
    """The training of one cohort on this process, from its newest checkpoint on if it has one.

    Attributes:
        first_step: Steps that were done when it began.

    Args:
        cohort: What to train.

    Raises:
        ValueError: If the trainers refuse a size or a value.
        RuntimeError: If this machine lacks the products of the sweep's precision.
        OSError: If the storage does not say whether there is a checkpoint.
    """

    def __init__(self, cohort: Cohort) -> None:
        # torch takes seconds to import, and a driver that only hands out cohorts never needs it.
        import torch  # noqa: PLC0415

        import trainers  # noqa: PLC0415

        torch.set_num_threads(cohort.num_threads)
        self._cohort = cohort
        members = [
            trainers.Member(seed=seed, **trial.settings)  # type: ignore[arg-type]
            for trial in cohort.trials
            for seed in trial.seeds
        ]
        training = trainers.TrainingSettings(**cohort.training)
        _check_precision(training)
        task = trainers.Task(**cohort.task)
        self._checkpoints = Checkpoints(Storage(cohort.storage), cohort.sweep, cohort.cohort_id)
        self._warnings: list[str] = []
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._writing: Future[None] | None = None
        self._is_closed = False
        self._checkpoint_due = time.monotonic() + cohort.checkpoint_s
        self._state: CohortState = self._adopted(task, training, members) or trainers.begin(
            task, training, members
        )
        self.first_step = self._state.step

    @property
    def is_finished(self) -> bool:
        """Whether every member is at its last step, or diverged."""
        return self._state.finished

    @property
    def num_steps_done(self) -> int:
        """Training steps done so far."""
        return self._state.step

    def advance(self, seconds: float) -> None:
        """Train for about this long, or to the end, with a checkpoint when it is time."""
        import trainers  # noqa: PLC0415

        until = time.monotonic() + seconds
        chunk = self._state.chunk_steps
        while not self._state.finished:
            # To the end of the chunk, also after a stop within one.
            self._state = trainers.advance(self._state, chunk - self._state.step % chunk)
            now = time.monotonic()
            if now >= self._checkpoint_due and not self._state.finished:
                self._checkpoint_due = now + self._cohort.checkpoint_s
                # Where the storage is slower than the interval, the next one is soon enough.
                if self._writing is None or self._writing.done():
                    self._submit_checkpoint()
            if now >= until:
                return

    def take_warnings(self) -> list[str]:
        """What people should know, since the last call."""
        self._note_failed_write()
        taken, self._warnings = self._warnings, []
        return taken

    def close(self) -> None:
        """Leave a checkpoint of what is not finished, and wait until all is written or refused.

        The second call and later ones do nothing.
        """
        if self._is_closed:
            return
        self._is_closed = True
        # Tune sets up cohorts that it then hands to another worker: those have nothing to keep.
        if not self._state.finished and self._state.step > self.first_step:
            self._submit_checkpoint()
        self._writer.shutdown(wait=True)
        self._note_failed_write()

    def results(self) -> list[Result]:
        """The finished cohort's results, its curves and neurons written to the storage first."""
        import trainers  # noqa: PLC0415

        cohort = self._cohort
        outcomes = list(_by_trial(cohort.trials, trainers.outcomes(self._state)))
        folder = f"{FOLDER}/{cohort.sweep}/{cohort.cohort_id}"
        curves = f"{folder}/curves-{cohort.attempt}.parquet"
        neurons = f"{folder}/neurons-{cohort.attempt}.parquet"
        storage = Storage(cohort.storage)
        storage.write_table(curves, _curves_table(outcomes))
        storage.write_table(neurons, _neurons_table(outcomes))
        return [
            _result(trial, replicates, cohort.attempt, curves, neurons)
            for trial, replicates in outcomes
        ]

    def _adopted(
        self, task: "Task", training: "TrainingSettings", members: Sequence["Member"]
    ) -> "CohortState | None":
        """The state that an earlier attempt left, if it is this cohort's."""
        import trainers  # noqa: PLC0415

        def read(data: bytes) -> "CohortState":
            state = trainers.from_bytes(data)
            if (state.task, state.settings, state.members) != (task, training, tuple(members)):
                raise ValueError("it is another cohort's")
            return state

        if self._cohort.attempt == 1:
            return None
        adopted = self._checkpoints.adopt(read)
        self._warnings += [f"a checkpoint was not used: {one}" for one in adopted.refused]
        return adopted.state

    def _submit_checkpoint(self) -> None:
        """Have the state as it is now written while training goes on."""
        import trainers  # noqa: PLC0415

        self._note_failed_write()
        self._writing = self._writer.submit(
            self._checkpoints.write,
            trainers.to_bytes(self._state),
            num_steps_done=self._state.step,
            attempt=self._cohort.attempt,
        )

    def _note_failed_write(self) -> None:
        """A checkpoint that could not be written costs time only if this attempt dies."""
        if self._writing is None or not self._writing.done():
            return
        error = self._writing.exception()
        self._writing = None
        if isinstance(error, OSError | pa.ArrowException):
            self._warnings.append(f"a checkpoint could not be written: {error}")
        elif error is not None:
            raise error


def _check_precision(training: "TrainingSettings") -> None:
    """A sweep's precision is fixed; a worker that cannot do it refuses by name."""
    import trainers  # noqa: PLC0415

    if training.precision == "bfloat16" and not trainers.bfloat16_is_native(training.device):
        raise RuntimeError(
            f"{socket.gethostname()} must have bfloat16 products in hardware for this sweep, found "
            "none. Run it elsewhere, or start one with training.precision: float32."
        )


def _by_trial(
    trials: Sequence[Trial], outcomes: Sequence["Outcome"]
) -> Iterator[tuple[Trial, list["Outcome"]]]:
    remaining = iter(outcomes)
    for trial in trials:
        yield trial, list(islice(remaining, len(trial.seeds)))


def _result(
    trial: Trial, outcomes: Sequence["Outcome"], attempt: int, curves: str, neurons: str
) -> Result:
    evaluations = [outcome.evaluation for outcome in outcomes]
    replicates = tuple(
        {name: float(value) for name, value in asdict(evaluation).items()}
        for evaluation in evaluations
        if evaluation is not None
    )
    diverged = [outcome for outcome in outcomes if outcome.reason is not None]
    return Result(
        trial_id=trial.trial_id,
        attempt=attempt,
        state="failed" if diverged else "complete",
        reason=f"diverged: {diverged[0].reason}" if diverged else None,
        metrics={} if diverged else _means(replicates),
        replicates=() if diverged else replicates,
        num_steps=max(_num_steps(outcome) for outcome in outcomes),
        train_s=sum(outcome.train_s for outcome in outcomes),
        curves=curves,
        neurons=neurons,
    )


def _num_steps(outcome: "Outcome") -> int:
    for ended_at in (outcome.diverged_at, outcome.dropped_at):
        if ended_at is not None:
            return ended_at
    return int(outcome.curve.steps[-1])


def _means(replicates: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {
        name: sum(replicate[name] for replicate in replicates) / len(replicates)
        for name in replicates[0]
    }


def _curves_table(outcomes: Sequence[tuple[Trial, list["Outcome"]]]) -> pa.Table:
    return _stacked(
        [
            _labelled(trial, replicate, _curve_columns(outcome.curve))
            for trial, replicates in outcomes
            for replicate, outcome in enumerate(replicates)
        ]
    )


def _curve_columns(curve: "Curve") -> dict[str, Any]:
    """One row a step, so the column is named for one."""
    columns = asdict(curve)
    return {"step": columns.pop("steps"), **columns}


def _neurons_table(outcomes: Sequence[tuple[Trial, list["Outcome"]]]) -> pa.Table:
    return _stacked(
        [
            _labelled(
                trial,
                replicate,
                {"neuron": np.arange(len(outcome.neurons.bias)), **asdict(outcome.neurons)},
            )
            for trial, replicates in outcomes
            for replicate, outcome in enumerate(replicates)
            if outcome.neurons is not None
        ]
    )


def _labelled(trial: Trial, replicate: int, columns: Mapping[str, Any]) -> pa.Table:
    """A table of one network's columns, each row saying which network it is of."""
    rows = len(next(iter(columns.values())))
    labels = {
        "trial_id": pa.array([trial.trial_id] * rows, pa.string()),
        "replicate": pa.array([replicate] * rows, pa.int32()),
        "seed": pa.array([trial.seeds[replicate]] * rows, pa.int64()),
    }
    return pa.table({**labels, **{name: pa.array(values) for name, values in columns.items()}})


def _stacked(tables: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables) if tables else pa.table({})
