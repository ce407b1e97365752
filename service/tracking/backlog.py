"""Keeping MLflow up to date in the background: an outage of it holds up nothing."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from service.errors import (
    LeaseLostError,
    LedgerAwayError,
    StorageAwayError,
    StorageError,
    TrackingAwayError,
)
from service.front import ranked
from service.home import without_password
from service.ledger import Writer
from service.outages import Outage
from service.storage import Storage
from service.tracking.names import standings
from service.trials import Phase, Trial
from service.verdict import Json
from service.watching import Watcher

if TYPE_CHECKING:
    from service.showcase import Showcase
    from service.tracking.projection import Projection

RETRY_S = 5.0
# At the end MLflow is waited for as long as it takes runs, but no longer than this without one.
PATIENCE_S = 30.0
# What MLflow refuses so often while it answers other calls is put off to the end, so that the rest
# gets in.
MAX_REFUSALS = 3
FILLED_IN = "Trials go on; runs are filled in when it answers."

logger = logging.getLogger("monosweep")


class Tracking(Watcher):
    """Projects a sweep from a thread of its own, as one of its watchers.

    The driver's thread only puts trials into a queue. However far MLflow lags, the queue holds no
    more than the driver holds anyway: curves are read when their trial's turn comes, one cohort's
    at a time.

    Entered before there is a worker, it does nothing until one is at work or something has ended:
    MLflow takes seconds of a processor to import and to make its database, and no training is to
    wait for that. On exit it finishes what is queued, as long as MLflow takes it. A trial whose run
    is not complete by then stays marked as missing in the ledger, and ``resume`` fills it in.

    Args:
        open_projection: Brings the sweep's experiment; called and used by the thread alone.
        writer: To record which trials are done.
        storage: Where the curves lie.
        spec_text: The sweep file.
    """

    def __init__(
        self,
        open_projection: "Callable[[], Projection]",
        writer: Writer,
        storage: str,
        spec_text: str,
    ) -> None:
        self._open_projection = open_projection
        self._sweep = writer.sweep
        self._writer = writer
        self._storage = Storage(storage)
        self._spec_text = spec_text
        self._verdict: Json | None = None
        # Of the thread alone: trials that have ended, and the best of them.
        self._ended: dict[str, Trial] = {}
        self._best: Trial | None = None
        # Of the cohort that was projected last, by their path: one's trials come one by one.
        self._cohorts_curves: tuple[str, pa.Table] | None = None
        self._tasks: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._may_begin = threading.Event()
        self._given_up = threading.Event()
        # Set while the thread asks nothing of MLflow.
        self._is_at_work_here = threading.Event()
        self._put_off: list[Callable[[], None]] = []
        self._outage = Outage()
        self._last_success = time.monotonic()

    def __enter__(self) -> "Tracking":
        self._tasks.put(partial(self._summarise, "RUNNING"))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._verdict is None:
            self._tasks.put(partial(self._summarise, "KILLED"))
        self._tasks.put(self._analyze)
        self._tasks.put(None)
        self._may_begin.set()
        self._last_success = time.monotonic()
        while self._thread.is_alive() and (
            self._is_at_work_here.is_set() or time.monotonic() - self._last_success < PATIENCE_S
        ):
            self._thread.join(0.2)
        self._given_up.set()
        if self._thread.is_alive() or not self._tasks.empty() or self._put_off:
            logger.warning(
                "Not every run is in MLflow. When it answers again: monosweep resume %s",
                self._sweep,
            )

    def fill_in(self, trials: Sequence[Trial]) -> None:
        """Queue whatever has ended and has no run in MLflow, or none any more."""
        ended = [trial for trial in trials if trial.result is not None]
        if ended:
            self._tasks.put(partial(self._fill_in, ended))

    def cohort_progressed(self, cohort_id: str, num_steps_done: int) -> None:
        """Begin: a worker is at work."""
        self._may_begin.set()

    def finished(self, verdict: Json, showcase: "Showcase | None" = None) -> None:
        """Queue the verdict.

        Args:
            verdict: The verdict.
            showcase: What to show beside it, once for each verdict.
        """
        self._verdict = verdict
        self._tasks.put(self._remove_doubles)
        self._tasks.put(partial(self._summarise, "FINISHED"))
        if showcase is not None:
            self._tasks.put(partial(self._leased, partial(self._show, showcase, verdict)))

    def trial_ended(self, trial: Trial) -> None:
        """Queue the trial's run."""
        self._tasks.put(partial(self._project, trial))
        self._may_begin.set()

    # The thread.

    @cached_property
    def _projection(self) -> "Projection":
        return self._open_projection()

    def _work(self) -> None:
        self._may_begin.wait()
        while (task := self._tasks.get()) is not None and not self._given_up.is_set():
            self._do(task)
        again, self._put_off = self._put_off, []
        for task in again:
            self._do(task)

    def _do(self, task: Callable[[], None]) -> None:
        """Try until MLflow takes it, refuses it often, or the driver has waited long enough."""
        from service.tracking.database import MLFLOW_ERRORS, said_by  # noqa: PLC0415 - MLflow

        refusals = 0
        while not self._given_up.is_set() and refusals < MAX_REFUSALS:
            try:
                task()
            except LeaseLostError:
                self._given_up.set()
            except LedgerAwayError:
                self._given_up.wait(RETRY_S)  # the driver's thread tells of it
            except StorageAwayError as error:
                self._outage.met(error, FILLED_IN)
                self._given_up.wait(RETRY_S)
            except MLFLOW_ERRORS as error:
                said = without_password(said_by(error))
                away = TrackingAwayError(f"MLflow does not take a run ({said}).")
                self._outage.met(away, FILLED_IN)
                self._projection.forget()
                refusals += self._answers()
                self._given_up.wait(RETRY_S)
            else:
                self._outage.is_over()
                self._last_success = time.monotonic()
                return
        self._put_off.append(task)

    def _answers(self) -> bool:
        """Whether MLflow takes other calls."""
        from service.tracking.database import MLFLOW_ERRORS  # noqa: PLC0415 - MLflow

        try:
            return bool(self._projection.experiment_id)
        except MLFLOW_ERRORS:
            return False

    def _fill_in(self, trials: Sequence[Trial]) -> None:
        for trial in trials:
            self._know(trial)
        there = self._projection.trial_ids()
        for trial in trials:
            if trial.mlflow_run_id is None or trial.trial_id not in there:
                self._do(partial(self._project, trial))
        self._do(partial(self._leased, self._tell_standings))

    def _analyze(self) -> None:
        self._projection.analyze()

    def _remove_doubles(self) -> None:
        self._writer.check_lease()
        trials = self._writer.ledger.trials(self._sweep)
        self._projection.remove_doubles({trial.mlflow_run_id for trial in trials})

    def _summarise(self, status: str) -> None:
        self._writer.check_lease()
        self._projection.project_summary(
            self._spec_text,
            self._verdict,
            status,
            num_ended=len(self._of("search")),
        )
        if self._ended:
            self._tell_standings()

    def _show(self, showcase: "Showcase", verdict: Json) -> None:
        """Files for the summary, networks for the finalists' runs, and the winner as a model.

        What could not be shown now, another ``resume`` shows.
        """
        if self._projection.shows(verdict):
            return
        with TemporaryDirectory() as folder:
            with self._asking_nothing_of_mlflow():
                showcase.write(Path(folder))
            # To draw takes a while, in which the sweep may have become another driver's.
            self._writer.check_lease()
            self._projection.attach(Path(folder))
        winner, is_whole = None, True
        for trial, network in showcase.networks():
            is_whole &= self._projection.attach_network(trial, network)
            self._last_success = time.monotonic()
            if winner is None and verdict["winner"] and trial.role == verdict["winner"]["trial"]:
                winner = network
        if winner is not None:
            is_whole &= self._projection.register(verdict["winner"]["trial"], winner)
        if is_whole and showcase.is_whole:
            self._projection.has_shown(verdict)

    @contextmanager
    def _asking_nothing_of_mlflow(self) -> Iterator[None]:
        """Patience with MLflow is not used up by what takes long here."""
        began = time.monotonic()
        self._is_at_work_here.set()
        try:
            yield
            self._last_success += time.monotonic() - began
        finally:
            self._is_at_work_here.clear()

    def _project(self, trial: Trial) -> None:
        # Before anything is made: the sweep may be another driver's by now, or deleted.
        self._writer.check_lease()
        run_id = self._projection.project_trial(trial, self._curves(trial))
        self._writer.record_mlflow_run(trial.trial_id, run_id)
        self._know(trial)
        if self._best is trial or trial.phase == "baseline":
            self._tell_standings()

    def _leased(self, task: Callable[[], None]) -> None:
        self._writer.check_lease()
        task()

    def _know(self, trial: Trial) -> None:
        """Take note of a trial that has ended, and whether it is the best."""
        self._ended[trial.trial_id] = trial
        if trial.phase == "search":
            among = [trial] if self._best is None else [self._best, trial]
            self._best = next(iter(ranked(among, self._projection.objective)), None)

    def _tell_standings(self) -> None:
        """The search so far in the summary, and which runs stand out."""
        self._projection.project_search(
            self._of("baseline"), self._best, num_ended=len(self._of("search"))
        )
        self._projection.stand(standings(self._best, self._verdict), self._ended)

    def _of(self, phase: Phase) -> list[Trial]:
        return [trial for trial in self._ended.values() if trial.phase == phase]

    def _curves(self, trial: Trial) -> pa.Table | None:
        """The trial's rows of its cohort's curves; a run without them is better than none.

        Raises:
            StorageAwayError: If the storage does not answer.
        """
        path = trial.result.curves if trial.result is not None else None
        if path is None:
            return None
        try:
            if self._cohorts_curves is None or self._cohorts_curves[0] != path:
                self._cohorts_curves = (path, self._storage.read_table(path))
        except (FileNotFoundError, StorageError) as error:
            logger.warning("the curves of %s cannot be read: %s", trial.trial_id, error)
            return None
        except OSError as error:
            raise StorageAwayError(f"the storage does not answer: {error}.") from error
        # The curves of a trial that was not trained are those of the one that it is the same as.
        return self._cohorts_curves[1].filter(
            pc.field("trial_id") == (trial.same_as or trial.trial_id)
        )
