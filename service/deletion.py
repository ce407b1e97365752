"""Deleting a sweep: everywhere or nowhere.

First the ledger is told, in one transaction, that the sweep is being deleted. From then on nothing
else can be done with it, and whoever deletes it again goes on where the one before was stopped:
the projections go first, and the ledger's own rows last.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from service.errors import StorageError, TrackingError, UserError
from service.home import Home
from service.ledger import Ledger, SweepRecord, Writer, held
from service.ownership import FOLDERS, check_lies_here
from service.place import Extent
from service.storage import Storage


def extent(ledger: Ledger, record: SweepRecord, home: Home) -> Extent:
    """What deleting the sweep would take away.

    Raises:
        ElsewhereError: If its files lie elsewhere.
        StorageError: If the storage does not answer.
    """
    check_lies_here(record, home)
    storage = Storage(home.storage)
    try:
        num_bytes = sum(
            sum(storage.sizes(folder).values()) for folder in _folders(ledger, record.name)
        )
    except OSError as error:
        raise _unreachable(error) from error
    local = [home.tune / record.name]
    if home.artifacts is not None:
        local.append(home.artifacts / record.name)
    report = home.report(record.name)
    report_bytes = report.stat().st_size if report.exists() else 0
    return Extent(
        num_trials=len(ledger.trials(record.name)),
        num_bytes=num_bytes + report_bytes + sum(folder_bytes(folder) for folder in local),
        verdict=record.verdict["sentence"] if record.verdict is not None else None,
        is_begun=record.deleting_at is not None,
    )


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder of this machine; 0 if it is not there."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def _nothing() -> None:
    """For those who may delete whatever has the name."""


def delete(ledger: Ledger, name: str, home: Home, *, check: Callable[[], None] = _nothing) -> None:
    """Delete a sweep, or go on with a deletion that was stopped.

    Args:
        ledger: The ledger.
        name: The sweep.
        home: Where it was written.
        check: Raises if it must not be deleted; asked when no other may have the name any more.

    Raises:
        SweepNotFoundError: If there is none of that name.
        ElsewhereError: If its files lie elsewhere.
        LeaseHeldError: If a driver is at work on it.
        StorageError: If the storage does not answer.
        TrackingError: If MLflow does not. Asked before anything is touched, as the storage is.
    """
    # Seconds of imports, which no other command of the ledger alone needs.
    from service import tracking  # noqa: PLC0415

    record = ledger.sweep(name)
    check_lies_here(record, home)
    with held(ledger.engine, name, to_delete=True) as lease:
        check()
        storage = Storage(home.storage)
        is_begun = record.deleting_at is not None
        left = f"A part is left: delete it to the end with: monosweep delete {name}"
        with _ending_with(left if is_begun else "Nothing was deleted."):
            _check_storage(storage)
            tracking.check_answers(home.tracking_uri)
        with closing(Writer(ledger, lease)) as writer:
            writer.begin_deletion()
            with _ending_with(left):
                _remove_files(storage, _folders(ledger, name), home, name)
                tracking.remove(home.tracking_uri, name)
            writer.erase()


def _folders(ledger: Ledger, name: str) -> list[str]:
    """What the sweep has in the storage; before it has begun, what is there is another sweep's."""
    return [f"{folder}/{name}" for folder in FOLDERS] if ledger.has_begun(name) else []


@contextmanager
def _ending_with(sentence: str) -> Iterator[None]:
    """Say at the end of an error how far it got."""
    try:
        yield
    except (StorageError, TrackingError) as error:
        raise type(error)(f"{error} {sentence}") from error


def _check_storage(storage: Storage) -> None:
    try:
        storage.check()
    except UserError as error:
        raise StorageError(str(error)) from error


def _remove_files(storage: Storage, folders: Sequence[str], home: Home, name: str) -> None:
    try:
        for folder in folders:
            storage.remove_folder(folder)
        if (home.tune / name).exists():
            shutil.rmtree(home.tune / name)
        home.report(name).unlink(missing_ok=True)
    except OSError as error:
        raise _unreachable(error) from error


def _unreachable(error: OSError) -> StorageError:
    return StorageError(f"the storage must answer, found: {error}. Mend MONOSWEEP_STORAGE.")
