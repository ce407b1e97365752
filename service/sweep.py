"""A sweep is begun, gone on with after any stop, or extended; refused where that is a mistake."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from search_spaces import grid_size
from service import warm_start
from service.bounds import check_num_trials
from service.driver import driving, fill_in_tracking, tidy, train
from service.errors import (
    ElsewhereError,
    InterruptedSweepError,
    LeaseHeldError,
    LeaseLostError,
    SweepExistsError,
    UserError,
)
from service.home import Home
from service.ledger import Ledger, SweepRecord, being_deleted
from service.machine import versions
from service.outages import resumable
from service.ownership import check_was_moved, lies_here
from service.recorded import closed_of, spec_of
from service.remains import refuse_remains
from service.spec import Spec, differences
from service.storage import Storage
from service.verdict import Json

if TYPE_CHECKING:
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
        UserError: If the storage holds another sweep's files under its name, or cannot be written.
        LedgerAwayError: If the ledger does not answer before the sweep is in it.
        SweepFailedError: If the baseline cannot be trained.
        InterruptedSweepError: If it was asked to stop, or the storage does not answer; it can be
            resumed.
    """
    with closing(Ledger(home.ledger_url, on_missing=partial(refuse_remains, home))) as ledger:
        warm_start.check(ledger, spec)
        try:
            ledger.create_sweep(
                spec.name,
                spec_text=spec.text,
                settings=spec.settings(),
                versions=_recorded_here(home),
                num_trials=spec.search.num_trials,
            )
        except SweepExistsError as error:
            raise SweepExistsError(_already_there(ledger.sweep(spec.name), spec)) from error
        with driving(ledger, spec.name) as writer:
            try:
                return train(ledger, writer, home, address, watchers)
            except UserError:
                # Found before the first training: the same name must be free for the mended call.
                if not ledger.trials(spec.name):
                    writer.erase()
                raise


def is_of(spec: Spec, home: Home) -> bool:
    """Whether the sweep that is there under a file's name has the same file."""
    with closing(Ledger(home.ledger_url, create=False)) as ledger:
        return not differences(spec_of(ledger.sweep(spec.name)), spec)


def _already_there(record: SweepRecord, spec: Spec) -> str:
    name = spec.name
    if record.deleting_at is not None:
        return being_deleted(name)
    changed = differences(spec_of(record), spec)
    if len(changed) == 1 and spec.search.num_trials > record.num_trials:
        return (
            f"a sweep named {name!r} is there already, with {record.num_trials} trials. To extend "
            f"it: monosweep resume {name} --num-trials {spec.search.num_trials}. To have this one "
            "beside it: monosweep run SPEC --name NAME"
        )
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
        LeaseHeldError: If another driver is at work on it, unless it is finished.
        InterruptedSweepError: If it was asked to stop, or the ledger or the storage does not answer
            at the start; it can be resumed.
    """
    with (
        resumable(name),
        closing(Ledger(home.ledger_url, create=False, bring_up_to_date=True)) as ledger,
    ):
        look = partial(_look, ledger, name, home, num_trials, accept_changes=accept_changes)
        # Whoever is to wait for another driver's lease hears of a mistake before.
        record = look()
        if record.verdict is not None and not _extends(record, num_trials):
            _complete(ledger, record, home)
            return dict(record.verdict)
        with driving(ledger, name) as writer:
            # What that driver did is known only now.
            record = look()
            if record.verdict is not None and not _extends(record, num_trials):
                return dict(record.verdict)
            if accept_changes:
                _check_was_moved(ledger, record, home)
            # One that was only queued has none yet: what it is trained with tells its first driver.
            if accept_changes or not record.versions:
                writer.record_versions(_recorded_here(home))
            if num_trials is not None and _extends(record, num_trials):
                writer.extend(num_trials)
                closed = closed_of(record)
                if closed is not None:
                    logger.warning("%s", closed.lifted(num_trials))
            writer.reopen()
            return train(ledger, writer, home, address, watchers)


def _look(
    ledger: Ledger, name: str, home: Home, num_trials: int | None, *, accept_changes: bool
) -> SweepRecord:
    """The sweep as it is now, which may be gone on with so."""
    record = ledger.sweep(name)
    record.check_is_kept()
    check_budget(record, num_trials)
    goes_on = record.verdict is None or _extends(record, num_trials)
    if goes_on and not accept_changes:
        _check_unchanged(record, _recorded_here(home))
    return record


def _extends(record: SweepRecord, num_trials: int | None) -> bool:
    return num_trials is not None and num_trials > record.num_trials


def _complete(ledger: Ledger, record: SweepRecord, home: Home) -> None:
    """Do for a finished sweep what its driver could not; nothing of it is worth an error."""
    try:
        with driving(ledger, record.name, waits=False) as writer:
            fill_in_tracking(writer, home)
            tidy(writer, home)
    except (ElsewhereError, InterruptedSweepError, LeaseHeldError, LeaseLostError) as error:
        logger.warning(
            "%s What MLflow may lack of %s, and files of no use, are left to its next resume.",
            error,
            record.name,
        )


def _check_was_moved(ledger: Ledger, record: SweepRecord, home: Home) -> None:
    """Of a sweep that goes on in another storage: what is there already must be its own."""
    if not lies_here(record, home):
        check_was_moved(Storage(home.storage), home, record.name, ledger.trials(record.name))


def check_budget(record: SweepRecord, num_trials: int | None) -> None:
    """Make sure that a search may have so many trials.

    Raises:
        UserError: If it has more already, more than any may have, or its grid has fewer points.
    """
    if num_trials is not None and num_trials < record.num_trials:
        raise UserError(
            f"--num-trials must be at least the present budget of {record.num_trials}, found "
            f"{num_trials}. A search can be extended, never shortened."
        )
    check_num_trials(num_trials)
    _check_grid(record, num_trials)


def _check_grid(record: SweepRecord, num_trials: int | None) -> None:
    if num_trials is None or not _extends(record, num_trials):
        return
    spec = spec_of(record)
    size = grid_size(spec.space) if spec.search.sampler == "grid" else None
    if size is not None and num_trials > size:
        raise UserError(
            f"--num-trials must be at most {size}, the points of the grid, found {num_trials}. "
            "A grid is tried once."
        )


def _recorded_here(home: Home) -> dict[str, str]:
    """What must stay the same while a sweep goes on: what changes numbers, where its files lie."""
    return {**versions(), "storage": home.storage_place}


def _check_unchanged(record: SweepRecord, here: Mapping[str, str]) -> None:
    changed = [
        f"  {what}: {recorded} -> {here[what]}"
        for what, recorded in record.versions.items()
        if what in here and recorded != here[what]
    ]
    if changed:
        raise UserError(
            "\n".join(
                [
                    f"the sweep {record.name!r} must go on with the versions and the storage it "
                    "began with, since others change its numbers and lack its checkpoints; found "
                    "changed:",
                    *changed,
                    "Restore them, or go on all the same with --accept-changes.",
                ]
            )
        )
