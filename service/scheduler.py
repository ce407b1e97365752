"""Ray Tune as a disposable executor: it runs the cohorts that it is handed, and keeps nothing.

One Tune trial trains one cohort. Our searcher hands the cohorts out one by one; Tune's own
retries, checkpoints, stopping rules and loggers are off, since the ledger decides what is left to
do.
"""

import logging
import os
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

# Read by Ray when it is imported. Tune writes no tables of its own, leaves Ctrl-C to us, and Ray
# neither reports its use to anybody nor hides GPUs from workers that were given none.
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import psutil
import ray
from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import Searcher

from service import stopping
from service.cohort import Cohort, CohortTraining
from service.errors import InterruptedSweepError, UserError, WorkerError
from service.planning import Machine, Resolved, Room
from service.trials import Result

# It calls every cohort that died an error of the whole run; what becomes of it is the agenda's.
logging.getLogger("ray.tune").setLevel(logging.CRITICAL)

# How often a worker says how far it is.
REPORT_S = 1.0
REACH_S = 10.0
RAY_WATCH_S = 1.0
WAIT_S = 0.2
RAY_SERVERS = ("gcs_server", "raylet")
_leaving = threading.Event()
OBJECT_STORE_BYTES = 150 * 1024**2


class Agenda(Protocol):
    """Who decides what is trained next. Called from one thread only."""

    def next_cohort(self) -> Cohort | None:
        """The next cohort to train; None while there is nothing to hand out."""

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to train."""

    def began(self, cohort_id: str, first_step: int) -> None:
        """A cohort is at work, from this step on."""

    def progressed(self, cohort_id: str, num_steps_done: int) -> None:
        """A cohort is still at work."""

    def warned(self, cohort_id: str, warning: str) -> None:
        """A cohort goes on, but with something that people should know."""

    def ended(self, cohort_id: str, results: list[Result]) -> None:
        """A cohort brought its results."""

    def died(self, cohort_id: str, reason: str) -> None:
        """A cohort ended without results."""


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
        """Train for a moment; at the end bring the results."""
        self._training.advance(REPORT_S)
        is_finished = self._training.is_finished
        if is_finished:
            # Before the results: once they are known, nothing of the cohort may be written.
            self._training.close()
        report: dict[str, Any] = {
            "first_step": self._training.first_step,
            "num_steps_done": self._training.num_steps_done,
            "warnings": self._training.take_warnings(),
        }
        if is_finished:
            report |= {"results": self._training.results(), "done": True}
        return report

    def cleanup(self) -> None:
        """Leave a checkpoint, if the cohort was stopped before its end."""
        self._training.close()


class _CohortSearcher(Searcher):  # type: ignore[misc]
    """Hands the agenda's cohorts to Tune, and their results back.

    What the agenda raises ends the run and is kept in ``error``, for ``run`` to raise: inside
    Tune's loop it would be taken for a failure of the cohort.
    """

    def __init__(self, agenda: Agenda) -> None:
        super().__init__(metric="num_steps_done", mode="max")
        self.error: Exception | None = None
        self.cohort_ids: dict[str, str] = {}
        self._agenda = agenda

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if self.error is not None or self._agenda.is_done:
            return str(Searcher.FINISHED)
        with self.keeping_errors():
            cohort = self._agenda.next_cohort()
            if cohort is None:
                return None
            self.cohort_ids[trial_id] = cohort.cohort_id
            return {"cohort": cohort}
        return str(Searcher.FINISHED)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        with self.keeping_errors():
            cohort_id = self.cohort_ids[trial_id]
            if result["training_iteration"] == 1:
                self._agenda.began(cohort_id, result["first_step"])
            self._warn(trial_id, result)
            self._agenda.progressed(cohort_id, result["num_steps_done"])

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        if result is not None and "results" in result:
            with self.keeping_errors():
                self._warn(trial_id, result)
                self._agenda.ended(self.cohort_ids[trial_id], result["results"])

    def _warn(self, trial_id: str, result: dict[str, Any]) -> None:
        for warning in result["warnings"]:
            self._agenda.warned(self.cohort_ids[trial_id], warning)

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its searcher for a restore that never comes; the ledger holds it all.
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger holds it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger holds it all."""

    @contextmanager
    def keeping_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again by run()
            self.error = error
            stopping.ask()


class _Deaths(tune.Callback):  # type: ignore[misc]
    """Tells the agenda why a cohort ended without results.

    Tune calls the searcher before it knows the reason, and this callback after.
    """

    def __init__(self, searcher: _CohortSearcher, agenda: Agenda) -> None:
        self._searcher = searcher
        self._agenda = agenda

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_error(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any
    ) -> None:
        error_file = Path(trial.error_file) if trial.error_file else None
        text = error_file.read_text() if error_file and error_file.exists() else "no reason known"
        with self._searcher.keeping_errors():
            self._agenda.died(self._searcher.cohort_ids[trial.trial_id], text.strip())


class _StopWhenAsked(tune.Stopper):  # type: ignore[misc]
    """Ends the run when somebody asks for it, so that every worker can clean up."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return stopping.is_asked()


def connect(address: str | None, here: Room) -> Room:
    """Start Ray here, or join the cluster at ``address``; what there is for cohorts.

    Args:
        address: A cluster, or None to start Ray here.
        here: What this machine has.

    Raises:
        UserError: If there is no cluster at the address.
        InterruptedSweepError: If somebody asked for the end meanwhile.
    """
    try:
        _init(address, sum(machine.num_cpus for machine in here.machines))
    except SystemExit as error:
        # Ray's own handler of SIGTERM, which it puts in place of ours while it starts.
        raise InterruptedSweepError(
            "Interrupted while Ray was starting; monosweep resume goes on."
        ) from error
    stopping.take_signals()
    if address is None:
        gpus = float(ray.cluster_resources().get("GPU", 0))
        return Room(tuple(replace(machine, num_gpus=gpus) for machine in here.machines))
    return _cluster_room(ray.nodes())


def _cluster_room(nodes: Sequence[Mapping[str, Any]]) -> Room:
    """What the machines of a cluster that are alive have for cohorts."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    return Room(
        tuple(
            Machine(
                num_cpus=int(has.get("CPU", 0)),
                memory_bytes=int(has.get("memory", 0)),
                num_gpus=float(has.get("GPU", 0)),
            )
            for has in alive
        )
    )


def _init(address: str | None, num_cpus: int) -> None:
    if address is None:
        ray.init(
            # A cluster of our own, whatever RAY_ADDRESS says or runs on this machine.
            address="local",
            num_cpus=num_cpus,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        _leave_with_ray()
    else:
        _check_reachable(address)
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError) as error:
            raise _no_cluster(address, error) from error


def _check_reachable(address: str) -> None:
    """Ray itself waits for minutes before it says that nobody answers."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        try:
            socket.create_connection((host, int(port)), timeout=REACH_S).close()
        except OSError as error:
            raise _no_cluster(address, error) from error


def _no_cluster(address: str, error: Exception) -> UserError:
    return UserError(
        f"there must be a Ray cluster at --address, found none ({address}: {error}). "
        "Start one with: ray start --head"
    )


def num_machines() -> int:
    """Machines in the cluster that are alive."""
    return sum(node["Alive"] for node in ray.nodes())


def disconnect() -> None:
    """Leave the cluster, or end the one that was started here."""
    _leaving.set()
    ray.shutdown()


def _leave_with_ray() -> None:
    """End this process if the Ray that was started here dies: Tune would wait for it for ever.

    What the ledger holds is whole at any moment. Ray's other processes would stay for a while.
    """
    _leaving.clear()
    this = psutil.Process()
    servers = [one for one in this.children(recursive=True) if one.name() in RAY_SERVERS]

    def watch() -> None:
        family = this.children(recursive=True)
        while not _leaving.wait(RAY_WATCH_S):
            if all(map(_is_alive, servers)):
                family = this.children(recursive=True)
                continue
            print(
                "Ray has ended on this machine before the sweep did. Nothing that ended is "
                "lost; monosweep resume goes on.",
                file=sys.stderr,
                flush=True,
            )
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            os._exit(InterruptedSweepError.exit_code)

    threading.Thread(target=watch, name="ray-watch", daemon=True).start()


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def on_worker(function: Callable[[Any], Any], argument: Any, *, cpus: int, gpus: float) -> Any:
    """What a function of an importable module returns on a worker with these resources.

    Raises:
        WorkerError: If it raised, or its worker died.
        InterruptedSweepError: If somebody asked for the end meanwhile.
    """
    remote = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(function)
    reference = remote.remote(argument)
    while not ray.wait([reference], timeout=WAIT_S)[0]:
        if stopping.is_asked():
            ray.cancel(reference, force=True)
            raise InterruptedSweepError("Interrupted before training; monosweep resume goes on.")
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        raise WorkerError(str(error).strip().splitlines()[-1]) from error


def check_resources(cpus: int, gpus: float) -> None:
    """Make sure that a cohort with these resources can ever be placed.

    Raises:
        UserError: If no machine has what ``compute`` asks for.
    """
    most_cpus = max((node["Resources"].get("CPU", 0) for node in ray.nodes()), default=0)
    most_gpus = max((node["Resources"].get("GPU", 0) for node in ray.nodes()), default=0)
    if cpus > most_cpus or gpus > most_gpus:
        raise UserError(
            f"a cohort needs {cpus} CPUs and {gpus:g} GPUs on one machine, found "
            f"at most {most_cpus:g} and {most_gpus:g}. Lower compute.cpus or compute.gpus."
        )


def run(agenda: Agenda, resolved: Resolved, folder: Path) -> None:
    """Train the agenda's cohorts until it is done or somebody asks for the end.

    Args:
        agenda: Says what to train, and is told what came of it.
        resolved: Cohorts at a time, and the resources of each.
        folder: Where Tune may keep its own files while it runs; removed afterwards.

    Raises:
        Exception: What the agenda raised.
    """
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
            callbacks=[_Deaths(searcher, agenda)],
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if searcher.error is not None:
        raise searcher.error
