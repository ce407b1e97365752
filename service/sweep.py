"""The life of a sweep, from the sweep file to the verdict, and its going on after any stop."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from service import stopping
from service.errors import (
    InterruptedSweepError,
    LedgerAwayError,
    SweepExistsError,
    SweepFailedError,
    UserError,
    WorkerError,
)
from service.home import Home
from service.ledger import Ledger, SweepRecord, Writer, being_deleted, held
from service.machine import versions
from service.outages import Outage
from service.planning import Calibration, Resolved, resolve
from service.remains import refuse_remains
from service.room import Machine, Room
from service.spec import Spec, differences
from service.storage import Storage
from service.verdict import Json, open_verdict

if TYPE_CHECKING:
    from service.life import Life
    from service.tracking import Tracking
    from service.watching import Watcher


logger = logging.getLogger(__name__)


def run(
    spec: Spec, home: Home, *, address: str | None = None, watchers: Sequence["Watcher"] = ()
) -> Json:
    """A new sweep, from its file to its verdict.

    The sweep is in the ledger before Ray, torch or MLflow are imported: from then on its name can
    be resumed.

    Args:
        spec: The sweep file.
        home: Where everything is written.
        address: A Ray cluster, or None to run on this machine.
        watchers: Who wants to know what happens.

    Raises:
        SweepExistsError: If the name is taken; nothing is overwritten.
        SweepFailedError: If the baseline cannot be trained.
        InterruptedSweepError: If it was asked to stop; it can be resumed.
    """
    ledger = Ledger(home.ledger_url, on_missing=partial(refuse_remains, home))
    try:
        ledger.create_sweep(
            spec.name,
            spec_text=spec.text,
            settings=spec.settings(),
            versions=versions(),
            num_trials=spec.search.num_trials,
        )
    except SweepExistsError as error:
        raise SweepExistsError(_already_there(ledger.sweep(spec.name), spec)) from error
    with closing(ledger), _writing(ledger, spec.name) as writer:
        try:
            return _train(ledger, writer, home, address, watchers)
        except UserError:
            # Found before the first training: the same name must be free for the mended call.
            if not ledger.trials(spec.name):
                writer.erase()
            raise


def _already_there(record: SweepRecord, spec: Spec) -> str:
    name = spec.name
    if record.deleting_at is not None:
        return being_deleted(name)
    changed = differences(dict(record.settings), spec.settings())
    if changed:
        return "\n".join(
            [
                f"a sweep named {name!r} is there already, with another file:",
                *(f"  {line}" for line in changed),
                "Give this one a name of its own: monosweep run SPEC --name NAME",
            ]
        )
    there = f"a sweep named {name!r} with the same file is there already ({record.state}). "
    if record.is_live:
        return f"{there}Follow it: monosweep status {name}"
    return f"{there}Go on with it: monosweep resume {name}; see it: monosweep status {name}"


def resume(
    name: str,
    home: Home,
    *,
    num_trials: int | None = None,
    address: str | None = None,
    accept_changes: bool = False,
    watchers: Sequence["Watcher"] = (),
) -> Json:
    """Go on with a sweep after any interruption, or extend a finished one.

    Args:
        name: The sweep.
        home: Where it was written.
        num_trials: A new, larger budget of the search, or None to leave it.
        address: A Ray cluster, or None to run on this machine.
        accept_changes: Go on although versions differ from those it began with.
        watchers: Who wants to know what happens.

    Raises:
        UserError: If ``num_trials`` is below the present budget, or versions differ.
        LeaseHeldError: If another driver is at work on it.
    """
    ledger = Ledger(home.ledger_url, create=False, bring_up_to_date=True)
    record = ledger.sweep(name)
    record.check_is_kept()
    extends = num_trials is not None and num_trials != record.num_trials
    if extends:
        _check_budget(record, num_trials)
    elif record.verdict is not None:
        fill_in_tracking(ledger, record, home)
        _tidy(ledger, record, home)
        return dict(record.verdict)
    if not accept_changes:
        _check_versions(record)
    with closing(ledger), _writing(ledger, name) as writer:
        if accept_changes:
            writer.record_versions(versions())
        if extends and num_trials is not None:
            writer.extend(num_trials)
        writer.reopen()
        return _train(ledger, writer, home, address, watchers)


def _check_budget(record: SweepRecord, num_trials: int | None) -> None:
    if num_trials is not None and num_trials < record.num_trials:
        raise UserError(
            f"--num-trials must be at least the present budget of {record.num_trials}, found "
            f"{num_trials}. A search can be extended, never shortened."
        )


def _check_versions(record: SweepRecord) -> None:
    here = versions()
    changed = [
        f"  {what}: {record.versions[what]} -> {here[what]}"
        for what in here
        if record.versions.get(what) != here[what]
    ]
    if changed:
        raise UserError(
            "\n".join(
                [
                    f"the sweep {record.name!r} must go on with the versions it began with, since "
                    "others change its numbers; found changed:",
                    *changed,
                    "Restore them, or go on all the same with --accept-changes.",
                ]
            )
        )


def fill_in_tracking(ledger: Ledger, record: SweepRecord, home: Home) -> None:
    """Bring to MLflow what an outage kept from it, or what is gone there."""
    with _writing(ledger, record.name) as writer, _tracking(record, writer, home) as tracking:
        tracking.fill_in(ledger.trials(record.name))
        if record.verdict is not None:
            tracking.finished(dict(record.verdict))


def _tidy(ledger: Ledger, record: SweepRecord, home: Home) -> None:
    """Remove what a driver left behind that was killed in its last moments."""
    from service.tidying import Tidying  # noqa: PLC0415 - seconds of imports

    with _writing(ledger, record.name):
        Tidying(Storage(home.storage), record.name).clear(ledger.trials(record.name))


def spec_of(record: SweepRecord) -> Spec:
    """The sweep's file as it was recorded."""
    return Spec.from_settings(record.settings, record.spec_text)


def verdict_of(record: SweepRecord) -> Json:
    """The recorded verdict, or what stands for it while there is none."""
    if record.verdict is not None:
        return dict(record.verdict)
    return open_verdict(spec_of(record))


@contextmanager
def _writing(ledger: Ledger, name: str) -> Iterator[Writer]:
    """Hold the lease, renewed, and the pen."""
    try:
        with (
            held(ledger.engine, name, pause=stopping.pause, lost=stopping.ask) as lease,
            closing(Writer(ledger, lease)) as writer,
        ):
            yield writer
    except LedgerAwayError as error:
        raise InterruptedSweepError(
            f"{error} Nothing that ended is lost. When it answers: monosweep resume {name}"
        ) from error


def _tracking(record: SweepRecord, writer: Writer, home: Home) -> "Tracking":
    # Seconds of imports, after the sweep is safely in the ledger.
    from service.tracking import Projection, Tracking  # noqa: PLC0415

    projection = Projection(
        home.tracking_uri,
        home.artifacts,
        record.name,
        float(record.settings["objective"]["loss_margin"]),
        record.versions,
    )
    return Tracking(projection, writer, home.storage, record.spec_text)


def _train(
    ledger: Ledger,
    writer: Writer,
    home: Home,
    address: str | None,
    watchers: Sequence["Watcher"],
) -> Json:
    # Seconds of imports, after the sweep is safely in the ledger.
    from service import cluster, scheduler  # noqa: PLC0415
    from service.life import Life  # noqa: PLC0415
    from service.tidying import Tidying  # noqa: PLC0415

    storage = Storage(home.storage)
    storage.check()
    record = ledger.sweep(writer.sweep)
    spec = spec_of(record)
    for watcher in watchers:
        watcher.workers_starting()
    with ExitStack() as stack:
        room = cluster.connect(address, Room((Machine.here(),)))
        stack.callback(cluster.disconnect)
        _check_is_shared(home, len(room.machines))
        room.check_takes(spec.compute.cpus, spec.compute.gpus)
        resolved = _resolved(record, spec, writer, room)
        for watcher in watchers:
            watcher.planned(resolved)
        tracking = stack.enter_context(_tracking(record, writer, home))
        tidying = Tidying(storage, spec.name)
        try:
            life = Life(
                spec,
                num_trials=record.num_trials,
                ledger=ledger,
                writer=writer,
                resolved=resolved,
                storage=home.storage,
                watchers=[*watchers, tracking, tidying],
            )
            stack.callback(lambda: tidying.clear(life.trials))
            tracking.fill_in(life.trials)
            scheduler.run(life, resolved, home.tune / spec.name)
        except SweepFailedError as error:
            writer.fail(str(error))
            raise
        return _finished(spec, life, writer, tracking)


def _finished(spec: Spec, life: "Life", writer: Writer, tracking: "Tracking") -> Json:
    """The verdict, recorded; or the interruption, if the life is not at its end."""
    if not life.is_done:
        writer.check_lease()
        raise InterruptedSweepError(
            f"The sweep {spec.name} was interrupted; nothing that ended is lost. "
            f"Go on with it: monosweep resume {spec.name}"
        )
    verdict = life.verdict()
    _patiently(lambda: writer.finish(verdict))
    tracking.finished(verdict)
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


def _check_is_shared(home: Home, num_machines: int) -> None:
    """Workers on other machines must be able to write where the driver reads."""
    if num_machines > 1 and home.storage == str(home.path):
        raise UserError(
            f"the storage of a cluster must be one that all its {num_machines} machines share, "
            f"found this machine's home ({home.path}). Set MONOSWEEP_STORAGE to s3://..., gs://... "
            "or a shared folder."
        )


def _resolved(record: SweepRecord, spec: Spec, writer: Writer, room: Room) -> Resolved:
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
    writer.record_resolved(resolved.as_json())
    return resolved
