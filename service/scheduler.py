"""Ray Tune as a disposable executor: it runs the cohorts that it is handed, and keeps nothing.

One Tune trial trains one cohort. Our searcher hands the cohorts out one by one; Tune's own
retries, checkpoints, stopping rules and loggers are off, since the ledger decides what is left to
do.
"""

import logging
import os
import shutil
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

# Read by Tune when it is imported: it writes no tables of its own, and leaves Ctrl-C to us.
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
# Nor does it write all of its trials to a file every few seconds, for a restore that never comes:
# with 10,000 trials that was most of what was written, and of what the driver waited for.
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "inf")

from ray import tune
from ray.air._internal import usage
from ray.tune.execution import tune_controller
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import Searcher
from ray.tune.utils.object_cache import _ObjectCache

from service import stopping
from service.cohort import Cohort, CohortTraining
from service.deaths import MACHINE_LOST, survive_out_of_memory
from service.errors import AwayError, CohortRefusedError
from service.outages import Outage
from service.trials import Result

if TYPE_CHECKING:
    # A second of imports that workers, which import this module, never need.
    from service.planning import Resolved

# It calls every cohort that died an error of the whole run; what becomes of it is the agenda's.
logging.getLogger("ray.tune").setLevel(logging.CRITICAL)

# How often a worker says how far it is.
REPORT_S = 1.0
# How long workers without a cohort are kept: more than it takes to begin the next phase, and so
# little that others of the cluster can wait for their processors.
IDLE_S = 10.0
# How long the end of a run waits for a ledger that is away, to keep what ended meanwhile.
LAST_WORDS_S = 15.0


class Agenda(Protocol):
    """Who decides what is trained next. Called from one thread only."""

    def next_cohort(self) -> Cohort | None:
        """The next cohort to train; None while there is nothing to hand out."""

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to train."""

    def began(self, cohort_id: str, first_step: int, worker: str) -> None:
        """A cohort is at work, from this step on, in this process."""

    def progressed(self, cohort_id: str, num_steps_done: int) -> None:
        """A cohort is still at work."""

    def warned(self, cohort_id: str, warning: str) -> None:
        """A cohort goes on, but with something that people should know."""

    def ended(self, cohort_id: str, results: list[Result]) -> None:
        """A cohort brought its results."""

    def died(self, cohort_id: str, reason: str, *, with_machine: bool) -> None:
        """A cohort ended without results, perhaps since its machine did."""


class CohortTrainable(tune.Trainable):  # type: ignore[misc]
    """Trains one cohort after another in one worker process."""

    _training: CohortTraining

    def setup(self, config: dict[str, Any]) -> None:
        """Begin a cohort's training."""
        self._training = CohortTraining(config["cohort"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next cohort in the same process."""
        self._training.close()
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train for a moment; at the end bring the results, or why there will be none here."""
        refused = None
        try:
            self._training.advance(REPORT_S)
        except CohortRefusedError as error:
            refused = str(error)
        is_finished = self._training.is_finished
        if is_finished:
            # Once the results are known, nothing of the cohort may be written any more.
            self._training.close()
        report: dict[str, Any] = {
            "first_step": self._training.first_step,
            "worker": f"{socket.gethostname()} {os.getpid()}",
            "num_steps_done": self._training.num_steps_done,
            "warnings": self._training.take_warnings(),
        }
        if is_finished:
            report |= {"results": self._training.results(), "done": True}
        if refused is not None:
            report |= {"refused": refused, "done": True}
        return report

    def cleanup(self) -> None:
        """Leave a checkpoint, if the cohort was stopped before its end."""
        self._training.close()


class _CohortSearcher(Searcher):  # type: ignore[misc]
    """Hands the agenda's cohorts to Tune, and tells it what became of them.

    While the ledger or the storage is away the other cohorts go on; what happened meanwhile is
    told in its order when it answers again. What else the agenda raises ends the run and is kept in
    ``error``, for ``run`` to raise: inside Tune's loop it would be taken for a failure of the
    cohort. A worker's refusal of a cohort ends the run too, but what ends meanwhile is still told.
    """

    def __init__(self, agenda: Agenda) -> None:
        super().__init__(metric="num_steps_done", mode="max")
        self.error: Exception | None = None
        self._refusal: CohortRefusedError | None = None
        self._cohort_ids: dict[str, str] = {}
        self._begun: set[str] = set()
        self._agenda = agenda
        self._asking = Outage()
        self._telling = Outage()
        self._untold: deque[Callable[[], None]] = deque()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        self._tell()
        is_over = not self._untold and self._agenda.is_done
        # Without a cohort at work Tune asks for one before it looks whether it is to stop.
        if is_over or self.error is not None or stopping.is_asked():
            return str(Searcher.FINISHED)
        if self._untold or self._asking.pause_s:
            return None
        with self._keeping_errors(self._asking):
            cohort = self._agenda.next_cohort()
            self._asking.is_over()
            if cohort is None:
                return None
            self._cohort_ids[trial_id] = cohort.cohort_id
            return {"cohort": cohort}
        return None

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        cohort_id = self._cohort_ids[trial_id]
        if result["first_step"] is not None and trial_id not in self._begun:
            self._begun.add(trial_id)
            first_step, worker = result["first_step"], result["worker"]
            self._happened(partial(self._agenda.began, cohort_id, first_step, worker))
        with self._keeping_errors(self._telling):
            self._warn(cohort_id, result)
            self._agenda.progressed(cohort_id, result["num_steps_done"])

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        if result is not None and "refused" in result:
            # No death: its trials would fail for it, three attempts later.
            self._refusal = CohortRefusedError(result["refused"])
            stopping.ask()
        elif result is not None and "results" in result:
            cohort_id = self._cohort_ids[trial_id]
            with self._keeping_errors(self._telling):
                self._warn(cohort_id, result)
            self._happened(partial(self._agenda.ended, cohort_id, result["results"]))

    def died(self, trial_id: str, reason: str) -> None:
        """A Tune trial ended without results, for this reason."""
        with_machine = any(words in reason for words in MACHINE_LOST)
        cohort_id = self._cohort_ids[trial_id]
        self._happened(partial(self._agenda.died, cohort_id, reason, with_machine=with_machine))

    def tell_the_rest(self) -> None:
        """At the end of the run, what could not be told on the way.

        Raises:
            Exception: What the agenda raised, now or on the way.
            CohortRefusedError: If a worker refused a cohort.
        """
        until = time.monotonic() + LAST_WORDS_S
        while self._untold and self.error is None and time.monotonic() < until:
            time.sleep(self._telling.pause_s)
            self._tell()
        if self.error is not None:
            raise self.error
        if self._refusal is not None:
            raise self._refusal

    def _warn(self, cohort_id: str, result: dict[str, Any]) -> None:
        for warning in result["warnings"]:
            self._agenda.warned(cohort_id, warning)

    def _happened(self, event: Callable[[], None]) -> None:
        self._untold.append(event)
        self._tell()

    def _tell(self) -> None:
        """Tell the agenda what happened, in its order, as far as the ledger takes it."""
        while self._untold and self.error is None and not self._telling.pause_s:
            with self._keeping_errors(self._telling):
                self._untold[0]()
                self._telling.is_over()
                self._untold.popleft()

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its searcher for a restore that never comes; the ledger holds it all.
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger holds it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger holds it all."""

    @contextmanager
    def _keeping_errors(self, outage: Outage) -> Iterator[None]:
        try:
            yield
        except AwayError as error:
            outage.met(error, "Trials at work go on; what ended is kept and told then.")
        except Exception as error:  # noqa: BLE001 - raised again by run()
            self.error = error
            stopping.ask()


class _Deaths(tune.Callback):  # type: ignore[misc]
    """Tells the searcher why a cohort ended without results.

    Tune calls the searcher itself before it knows the reason, and this callback after.
    """

    def __init__(self, searcher: _CohortSearcher) -> None:
        self._searcher = searcher

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_error(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any
    ) -> None:
        error_file = Path(trial.error_file) if trial.error_file else None
        text = error_file.read_text() if error_file and error_file.exists() else "no reason known"
        self._searcher.died(trial.trial_id, text.strip())


class _StopWhenAsked(tune.Stopper):  # type: ignore[misc]
    """Ends the run when somebody asks for it, so that every worker can clean up."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return stopping.is_asked()


class _IdleWorkers(_ObjectCache):  # type: ignore[misc]
    """Workers without a cohort, all kept for a moment.

    Tune keeps but one and ends the others. Where a phase ends with its last cohort, most of them
    have nothing to train for a moment: the next phase would start new ones, with seconds of
    imports each.

    Args:
        may_keep_one: As Tune has it.
        clock: Seconds, from anywhere.
    """

    def __init__(
        self, may_keep_one: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(may_keep_one)
        self._clock = clock
        self._newest_at = 0.0

    def cache_object(self, key: Any, obj: Any) -> bool:
        """Keep one more; all cohorts ask for the same resources, so that any other can have it."""
        self._cached_objects[key].append(obj)
        self._num_cached_objects += 1
        self._newest_at = self._clock()
        return True

    def flush_cached_objects(self, force_all: bool = False) -> Iterator[Any]:
        """Those that are to be ended now: all, or all but one when their time is over."""
        if not force_all and self._clock() - self._newest_at < IDLE_S:
            return
        for workers in self._cached_objects.values():
            while workers and self._num_cached_objects > (0 if force_all else 1):
                self._num_cached_objects -= 1
                yield workers.pop(0)


def run(agenda: Agenda, resolved: "Resolved", folder: Path) -> None:
    """Train the agenda's cohorts until it is done or somebody asks for the end.

    Args:
        agenda: Says what to train, and is told what came of it.
        resolved: Cohorts at a time, and the resources of each.
        folder: Where Tune may keep its own files while it runs; removed afterwards.

    Raises:
        Exception: What the agenda raised.
        CohortRefusedError: If a worker must not train a cohort, which then waits for another.
    """
    survive_out_of_memory()
    # Tune has no option for it, and makes the one that it finds here.
    tune_controller._ObjectCache = _IdleWorkers
    # It would count our callback for a report of its use, which is off, and import MLflow for that:
    # two seconds before the first cohort.
    usage.tag_callbacks = lambda _: False
    searcher = _CohortSearcher(agenda)
    tuner = tune.Tuner(
        tune.with_resources(CohortTrainable, {"cpu": resolved.cpus, "gpu": resolved.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            num_samples=-1,
            max_concurrent_trials=resolved.max_concurrent,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name="run",
            storage_path=str(folder),
            stop=_StopWhenAsked(),
            callbacks=[_Deaths(searcher)],
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    searcher.tell_the_rest()
