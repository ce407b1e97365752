"""A cohort: trials in, results out. Runs on a worker, and knows nothing of who schedules it."""

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from service.checkpoints import Checkpoints, CheckpointWriter
from service.cohort_results import written_results
from service.early_stopping import EarlyStopping
from service.errors import CohortRefusedError, StorageAwayError
from service.kept_code import kept_or_compiled
from service.outages import Outage
from service.storage import Storage
from service.trials import Phase, Result, Trial

if TYPE_CHECKING:
    from trainers import CohortState, TrainingSettings


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
        early_stopping: What stops its worst trials, or None where all are trained to the end.
    """

    sweep: str
    cohort_id: str
    attempt: int
    trials: tuple[Trial, ...]
    task: Mapping[str, Any]
    training: Mapping[str, Any]
    num_threads: int
    # Ray Tune writes what it is handed into its own files and logs, and a URI may hold keys.
    storage: str = field(repr=False)
    checkpoint_s: float
    early_stopping: EarlyStopping | None = None

    @property
    def phase(self) -> Phase:
        """The phase that all its trials belong to."""
        return self.trials[0].phase


class CohortTraining:
    """The training of one cohort on this process, from its newest checkpoint on if it has one.

    A storage that is away is waited for: before the first step, since the checkpoint may be there,
    and after the last one, until it has taken the results.

    Attributes:
        first_step: Steps that were done when it began; None before it did.

    Args:
        cohort: What to train.
    """

    def __init__(self, cohort: Cohort) -> None:
        # torch takes seconds to import, and a driver that only hands out cohorts never needs it.
        import torch  # noqa: PLC0415

        import trainers  # noqa: PLC0415

        torch.set_num_threads(cohort.num_threads)
        self.first_step: int | None = None
        self._cohort = cohort
        self._members = tuple(
            trainers.Member(seed=seed, **trial.settings)  # type: ignore[arg-type]
            for trial in cohort.trials
            for seed in trial.seeds
        )
        self._training = trainers.TrainingSettings(**cohort.training)
        self._task = trainers.Task(**cohort.task)
        self._storage = Storage(cohort.storage)
        self._checkpoints = Checkpoints(self._storage, cohort.sweep, cohort.cohort_id)
        self._warnings: list[str] = []
        self._outage = Outage(self._warnings.append)
        self._writer = CheckpointWriter(
            self._checkpoints, cohort.attempt, cohort.checkpoint_s, self._outage
        )
        self._state: CohortState | None = None
        self._results: list[Result] | None = None

    @property
    def is_finished(self) -> bool:
        """Whether no member is in training any more, and the results are written."""
        return self._results is not None

    @property
    def num_steps_done(self) -> int:
        """Training steps done so far."""
        return 0 if self._state is None else self._state.step

    def advance(self, seconds: float) -> None:
        """Train for about this long, or to the end, with a checkpoint when it is time.

        The first call only finds where to begin, so that this is known before anything is trained.

        Raises:
            ValueError: If the trainers refuse a size or a value.
            CohortRefusedError: If this machine lacks the products of the sweep's precision, or a
                later monosweep wrote the checkpoint.
        """
        if self._state is not None and not self._state.finished:
            self._train(self._state, seconds)
        if self._state is None or (self._state.finished and not self.is_finished):
            self._ask_storage(seconds)

    def _ask_storage(self, seconds: float) -> None:
        """Find where to begin, or hand in the results; while it is away wait for about so long."""
        time.sleep(min(self._outage.pause_s, seconds))
        if self._outage.pause_s:
            return
        try:
            if self._state is None:
                self._begin()
            else:
                self._results = written_results(self._cohort, self._state, self._storage)
        except OSError as error:
            away = StorageAwayError(f"the storage does not answer: {str(error).rstrip('.')}.")
            self._outage.met(away, "It is waited for.")
        else:
            self._outage.is_over()

    def take_warnings(self) -> list[str]:
        """What people should know, since the last call."""
        if not self.is_finished:  # then nobody needs them any more
            self._writer.look()
        taken = self._warnings.copy()
        self._warnings.clear()
        return taken

    def close(self) -> None:
        """Leave a checkpoint of what has no results yet, and wait until it is written or refused.

        The second call and later ones do nothing.
        """
        # Tune sets up cohorts that it then hands to another worker: those have nothing to keep.
        if self._state is not None and not self.is_finished and self._state.step != self.first_step:
            self._writer.submit(self._state)
        self._writer.close()

    def results(self) -> list[Result]:
        """The finished cohort's results."""
        assert self._results is not None
        return self._results

    def _begin(self) -> None:
        import trainers  # noqa: PLC0415

        _check_precision(self._training)
        trainers.obtain_machine_code_by(kept_or_compiled)
        self._state = self._adopted() or trainers.begin(self._task, self._training, self._members)
        self.first_step = self._state.step

    def _train(self, state: "CohortState", seconds: float) -> None:
        import trainers  # noqa: PLC0415

        until = time.monotonic() + seconds
        while not state.finished:
            self._stop_worst(state)
            trainers.advance(state, self._next_halt(state) - state.step)
            if self._writer.is_due and not state.finished:
                self._writer.submit(state)
            if time.monotonic() >= until:
                return

    def _next_halt(self, state: "CohortState") -> int:
        """The end of the chunk, also after a halt within one, or a rung before it."""
        step, chunk = state.step, state.chunk_steps
        stopping = self._cohort.early_stopping
        rungs = () if stopping is None else stopping.rungs
        return min([step + chunk - step % chunk, *(rung for rung in rungs if rung > step)])

    def _stop_worst(self, state: "CohortState") -> None:
        """At a rung, drop the networks of the trials that do not go on.

        Right before the next step, so that an attempt that ended at the rung, before or after it
        dropped them, leaves the same to the next one: the second time nobody is left to drop.
        """
        import trainers  # noqa: PLC0415

        stopping, trials = self._cohort.early_stopping, self._cohort.trials
        if stopping is None or state.step not in stopping.rungs:
            return
        stopped = stopping.stopped(trials, state.records, state.step)
        numbers = [trial.number for trial in trials for _ in trial.seeds]
        trainers.drop(state, [slot for slot in state.live if numbers[slot] in stopped])

    def _adopted(self) -> "CohortState | None":
        """The state that an earlier attempt left, if it is this cohort's."""
        import trainers  # noqa: PLC0415

        def read(data: bytes) -> "CohortState":
            try:
                state = trainers.from_bytes(data)
            except trainers.NewerError as error:
                # Whole for whoever can read it: neither a fault of the cohort nor to be removed.
                where = f"{self._cohort.cohort_id} on {socket.gethostname()}"
                raise CohortRefusedError(f"{where}: {error}") from error
            if (state.task, state.settings, state.members) != (
                self._task,
                self._training,
                self._members,
            ):
                raise ValueError("it is another cohort's")
            return state

        if self._cohort.attempt == 1:
            return None
        adopted = self._checkpoints.adopt(read)
        self._warnings += [f"a checkpoint was not used: {one}" for one in adopted.refused]
        return adopted.state


def _check_precision(training: "TrainingSettings") -> None:
    """A sweep's precision is fixed; a worker that cannot do it refuses by name."""
    import trainers  # noqa: PLC0415

    if training.precision == "bfloat16" and not trainers.bfloat16_is_native(training.device):
        raise CohortRefusedError(
            f"{socket.gethostname()} must have bfloat16 products in hardware for this sweep, found "
            "none. Run it elsewhere, or start one with training.precision: float32."
        )
