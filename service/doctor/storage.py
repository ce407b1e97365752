"""The storage's part: it can be written, holds what the ledger names, and little else."""

from collections.abc import Sequence
from functools import partial

from service import checkpoints
from service.cohort_tables import named_files
from service.doctor.finding import Finding, Known, listed
from service.errors import StorageError, UserError
from service.home import Home, without_password
from service.ledger import Ledger, held, unfinished
from service.ownership import FOLDERS, lies_here
from service.storage import Storage
from service.tidying import unread_files
from service.trials import Trial

PART = "storage"


def open_storage(home: Home) -> Storage | Finding:
    """The home's storage, if it can be written; otherwise why not."""
    try:
        storage = Storage(home.storage)
        storage.check()
    except (UserError, StorageError) as error:
        return Finding(PART, str(error))
    return storage


def examine_storage(known: Known, storage: Storage) -> list[Finding]:
    """Everything but what the checkpoints say inside.

    Raises:
        OSError: If the storage does not answer.
    """
    findings = [*_strangers(known, storage), *_elsewhere(known)]
    for record in known.placed_here:
        trials = known.trials[record.name]
        findings += _unreadable(storage, record.name, trials)
        findings += _leftovers(known, storage, record.name, trials)
    if all(finding.is_well for finding in findings):
        said = "Writable, with every file that the ledger names."
        findings.insert(0, Finding(PART, said, is_well=True))
    return findings


def _unreadable(storage: Storage, name: str, trials: Sequence[Trial]) -> list[Finding]:
    """Files that the ledger names and nobody can read: they cannot be made again."""
    missing, damaged = [], []
    for path in sorted(named_files(trials)):
        try:
            storage.check_file(path)
        except FileNotFoundError:
            missing.append(path)
        except StorageError:
            damaged.append(path)
    restore = "Restore it from a copy of the storage; its scalars are in the ledger."
    return [
        Finding(PART, f"{len(paths)} files of {name} are {what}: {listed(paths)}", restore)
        for what, paths in (("missing", missing), ("damaged", damaged))
        if paths
    ]


def _elsewhere(known: Known) -> list[Finding]:
    """Sweeps whose files are not to be looked for here, nor what has their names taken for them."""
    return [
        Finding(
            PART,
            f"The files of {record.name} lie in another storage ({record.versions['storage']}) and "
            "were not looked at.",
            "Name it with MONOSWEEP_STORAGE.",
            is_well=True,
        )
        for record in known.records
        if not lies_here(record, known.home)
    ]


def _leftovers(known: Known, storage: Storage, name: str, trials: Sequence[Trial]) -> list[Finding]:
    found = leftovers(storage, name, trials)
    if not found:
        return []
    num_bytes = sum(found.values())
    return [
        Finding(
            PART,
            f"{len(found)} files of {name} are of no use any more ({num_bytes / 2**20:.1f} MiB): "
            f"{listed(sorted(found))}",
            "Removes them.",
            partial(_clear, known.ledger, storage, name),
        )
    ]


def leftovers(storage: Storage, name: str, trials: Sequence[Trial]) -> dict[str, int]:
    """Files that nobody will read: of attempts that died, of cohorts that ended, cut short."""
    needed = {trial.cohort_id for trial in unfinished(trials)}
    states = storage.sizes(f"{checkpoints.FOLDER}/{name}")
    return {
        **unread_files(storage, name, trials),
        **{
            path: size
            for path, size in states.items()
            if path.split("/")[2] not in needed or not path.endswith(checkpoints.SUFFIX)
        },
    }


def _clear(ledger: Ledger, storage: Storage, name: str) -> None:
    """Under the lease, and looked up again: a driver may have come and gone."""
    with held(ledger.engine, name):
        for path in leftovers(storage, name, ledger.trials(name)):
            storage.remove_file(path)


def _strangers(known: Known, storage: Storage) -> list[Finding]:
    """Folders of sweeps that this ledger does not know; another one may, so they stay."""
    found = [f"{folder}/{name}" for folder in FOLDERS for name in storage.names(folder)]
    # Asked after the storage: a sweep that begins meanwhile is known by now.
    names = set(known.ledger.names())
    names -= {record.name for record in known.records if not lies_here(record, known.home)}
    strange = [path for path in found if path.split("/")[1] not in names]
    if not strange:
        return []
    return [
        Finding(
            PART,
            f"{len(strange)} folders are of sweeps that the ledger does not know: "
            f"{listed(strange)} (below {without_password(known.home.storage)})",
            "If no other ledger knows them, remove them yourself.",
            # In a place that several ledgers may share they are to be expected.
            is_well=known.home.storage != str(known.home.path),
        )
    ]
