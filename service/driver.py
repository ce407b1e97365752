"""The driver of a sweep: holds its lease, has its cohorts trained, records the verdict."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from service import collecting, stopping, warm_start
from service.errors import (
    InterruptedSweepError,
    LedgerAwayError,
    SweepFailedError,
    UserError,
    WorkerError,
)
from service.home import Home
from service.ledger import Ledger, SweepRecord, Writer, held
from service.outages import Outage, resumable
from service.ownership import check_is_free, check_lies_here
from service.planning import Calibration, Resolved, resolve
from service.recorded import spec_of
from service.room import Machine, Room
from service.showcase import Showcase
from service.spec import Spec
from service.storage import Storage
from service.verdict import Json

if TYPE_CHECKING:
    from service.life import Life
    from service.tracking import Projection, Tracking
    from service.watching import Watcher


logger = logging.getLogger(__name__)


@contextmanager
def driving(ledger: Ledger, name: str, *, waits: bool = True) -> Iterator[Writer]:
    """Be a sweep's driver: hold its lease, renewed, and the pen.

    Args:
        ledger: The open ledger.
        name: The sweep.
        waits: Wait for a driver on another host that may be dead.

    Raises:
        LeaseHeldError: If there is another one.
        InterruptedSweepError: If the ledger or the storage is away when nothing is at work yet, or
            nothing any more: only while trials are trained are they waited for.
    """
    with (
        resumable(name),
        held(ledger.engine, name, pause=stopping.pause, lost=stopping.ask, waits=waits) as lease,
        closing(Writer(ledger, lease)) as writer,
    ):
        yield writer


def train(
    ledger: Ledger,
    writer: Writer,
    home: Home,
    address: str | None,
    watchers: Sequence["Watcher"],
) -> Json:
    """Have a sweep's cohorts trained until there is a verdict.

    Args:
        ledger: To read from.
        writer: The pen of the sweep.
        home: Where everything is written.
        address: A Ray cluster, or None to run on this machine.
        watchers: Who wants to know what happens.

    Raises:
        UserError: If this is no place to train it.
        StorageAwayError: If the storage does not answer yet.
        SweepFailedError: If the baseline cannot be trained.
        InterruptedSweepError: If it was asked to stop; it can be resumed.
    """
    storage = Storage(home.storage)
    storage.check()
    record = ledger.sweep(writer.sweep)
    if not ledger.has_begun(record.name):
        check_is_free(storage, home, record.name)
    spec = spec_of(record)
    with ExitStack() as stack:
        # While Ray starts, which is seconds of waiting for its processes.
        meanwhile = stack.enter_context(ThreadPoolExecutor(1))
        trials = meanwhile.submit(ledger.trials, record.name)
        meanwhile.submit(_import_what_trains)
        room = stack.enter_context(_connected(address, spec, home, watchers))
        from service import scheduler  # noqa: PLC0415 - there by now
        from service.life import Life  # noqa: PLC0415
        from service.tidying import Tidying  # noqa: PLC0415

        resolved = _resolved(ledger, record, spec, writer, room)
        for watcher in watchers:
            watcher.planned(resolved)
        tracking = stack.enter_context(_tracking(writer, home))
        tidying = Tidying(storage, spec.name)
        try:
            life = Life(
                spec,
                num_trials=record.num_trials,
                trials=trials.result(),
                ledger=ledger,
                writer=writer,
                resolved=resolved,
                storage=home.storage,
                watchers=[*watchers, tracking, tidying],
            )
            tracking.fill_in(life.trials)
            # All is read; from here on it works for hours.
            collecting.as_before()
            scheduler.run(life, resolved, home.tune / spec.name)
        except SweepFailedError as error:
            writer.fail(str(error))
            raise
        # Never on the way out of a lost lease: what is there by now is another driver's.
        writer.check_lease()
        tidying.clear(life.trials)
        return _finished(life, writer, tracking, _showcase(spec.name, home))


def _import_what_trains() -> None:
    """Import what takes seconds; the cluster first, which says what Ray is to leave out."""
    from service import cluster, life, scheduler, tidying  # noqa: F401, PLC0415


@contextmanager
def _connected(
    address: str | None, spec: Spec, home: Home, watchers: Sequence["Watcher"]
) -> Iterator[Room]:
    """What a cluster has for a sweep's cohorts, while this lasts.

    Args:
        address: The cluster, or None to start one on this machine.
        spec: The sweep file.
        home: Where the sweep's files are written.
        watchers: Told that workers start, once nothing is known to be against it.

    Raises:
        UserError: If there is no such cluster, or it is no place to train the sweep.
        InterruptedSweepError: If none of its machines is large enough yet.
    """
    from service import cluster  # noqa: PLC0415 - Ray

    here = Room((Machine.here(),))
    if address is None:
        # Before Ray is started for nothing; how many GPUs there are is best known to it.
        here.check_has_processors(spec.compute.cpus)
    for watcher in watchers:
        watcher.workers_starting()
    room = cluster.connect(address, here)
    try:
        check_is_shared(home, len(room.machines))
        room.check_takes(spec.compute.cpus, spec.compute.gpus)
        yield room
    finally:
        cluster.disconnect()


def _showcase(name: str, home: Home) -> Showcase | None:
    return Showcase(name, home) if home.is_shown else None


def _finished(
    life: "Life", writer: Writer, tracking: "Tracking", showcase: Showcase | None
) -> Json:
    """The verdict, recorded; or the interruption, if the life is not at its end."""
    if not life.is_done:
        # No worker is left. Only where the driver was killed the next one ends them.
        writer.end_open_attempts()
        raise InterruptedSweepError(
            f"The sweep {writer.sweep} was interrupted; nothing that ended is lost. "
            f"Go on with it: monosweep resume {writer.sweep}"
        )
    verdict = life.verdict()
    _patiently(lambda: writer.finish(verdict))
    tracking.finished(verdict, showcase)
    return verdict


def _patiently(write: Callable[[], None]) -> None:
    """Write to the ledger, and wait for it while it is away.

    Raises:
        InterruptedSweepError: If somebody asked for the end meanwhile.
    """
    outage = Outage()
    while True:
        try:
            write()
        except LedgerAwayError as error:
            outage.met(error, "It is waited for.")
            stopping.pause(outage.pause_s)
        else:
            outage.is_over()
            return


def check_is_shared(home: Home, num_machines: int) -> None:
    """Workers on other machines must be able to write where the driver reads.

    Raises:
        UserError: If the storage is this machine's own, and there are others.
    """
    if num_machines > 1 and home.storage == str(home.path):
        raise UserError(
            f"the storage of a cluster must be one that all its {num_machines} machines share, "
            f"found this machine's home ({home.path}). Set MONOSWEEP_STORAGE to s3://..., gs://... "
            "or a shared folder."
        )


def _resolved(
    ledger: Ledger, record: SweepRecord, spec: Spec, writer: Writer, room: Room
) -> Resolved:
    """The ``auto`` choices as recorded; settled and recorded if this is the first time."""
    if record.resolved is not None:
        return Resolved(**record.resolved)
    # Ray is here already, and nothing else needs these where the choices are recorded.
    from service import cluster  # noqa: PLC0415
    from service.calibration import step_seconds  # noqa: PLC0415

    def measure(calibration: Calibration) -> dict[int, float]:
        compute = spec.compute
        try:
            found: dict[int, float] = cluster.on_worker(
                step_seconds, calibration, cpus=compute.cpus, gpus=compute.gpus
            )
        except WorkerError as error:
            logger.warning("cohorts could not be measured, and get one trial each: %s", error)
            return {}
        return found

    resolved = resolve(spec, room, measure)
    earlier = warm_start.gathered(ledger, spec, resolved, record.versions)
    counts = Counter(trial.sweep for trial in earlier)
    resolved = replace(resolved, warm_start={name: counts[name] for name in spec.search.warm_start})
    writer.record_resolved(resolved.as_json(), earlier)
    return resolved


def fill_in_tracking(writer: Writer, home: Home) -> None:
    """Bring to MLflow what an outage kept from it, or what is gone there.

    Raises:
        ElsewhereError: If the sweep's curves lie in another storage.
    """
    ledger = writer.ledger
    record = ledger.sweep(writer.sweep)
    check_lies_here(record, home)
    with _tracking(writer, home) as tracking:
        tracking.fill_in(ledger.trials(record.name))
        if record.verdict is not None:
            tracking.finished(dict(record.verdict), _showcase(record.name, home))


def tidy(writer: Writer, home: Home) -> None:
    """Remove what a driver left behind that was killed in its last moments.

    Raises:
        ElsewhereError: If the sweep's files lie in another storage.
    """
    from service.tidying import Tidying  # noqa: PLC0415 - seconds of imports

    check_lies_here(writer.ledger.sweep(writer.sweep), home)
    trials = writer.ledger.trials(writer.sweep)
    # What is there by now may be another driver's.
    writer.check_lease()
    Tidying(Storage(home.storage), writer.sweep).clear(trials)


def _tracking(writer: Writer, home: Home) -> "Tracking":
    # A second of imports, after the sweep is safely in the ledger.
    from service.tracking import Facts, Tracking  # noqa: PLC0415

    record = writer.ledger.sweep(writer.sweep)
    facts = Facts.of(record)

    def open_projection() -> "Projection":
        from service.tracking import Projection  # noqa: PLC0415 - MLflow takes seconds

        return Projection(home.tracking_uri, home.artifacts, facts)

    return Tracking(open_projection, writer, home.storage, record.spec_text)
