"""Whose files lie in a storage: nothing of another sweep is ever taken for a sweep's own.

Several ledgers may share a storage, in which the folders of sweeps have the sweeps' names.
"""

from collections.abc import Sequence

from service import checkpoints, cohort_results
from service.cohort_tables import named_files
from service.errors import ElsewhereError, UserError
from service.home import Home
from service.ledger import SweepRecord
from service.storage import Storage, answering
from service.trials import Trial

# Of the folders below the storage those that have one for each sweep.
FOLDERS = (cohort_results.FOLDER, checkpoints.FOLDER)


def lies_here(record: SweepRecord, home: Home) -> bool:
    """Whether a sweep's files lie in the home's storage."""
    return record.versions.get("storage", home.storage_place) == home.storage_place


def check_lies_here(record: SweepRecord, home: Home) -> None:
    """Elsewhere there is nothing of it, and what has its name there is another sweep's.

    Raises:
        ElsewhereError: If the sweep began with another storage.
    """
    if not lies_here(record, home):
        raise ElsewhereError(
            f"the files of a sweep must be looked for where they lie ({record.versions['storage']})"
            f", found another storage ({home.storage_place}). Set MONOSWEEP_STORAGE or "
            "MONOSWEEP_HOME to that one."
        )


def check_is_free(storage: Storage, home: Home, name: str) -> None:
    """Make sure that a sweep of which nothing was trained yet finds nothing under its name.

    Raises:
        UserError: If there are files, which must be another sweep's.
        StorageAwayError: If the storage does not answer.
    """
    with answering():
        found = {folder: len(storage.sizes(f"{folder}/{name}")) for folder in FOLDERS}
    if any(found.values()):
        there = ", ".join(f"{num} in {folder}/{name}" for folder, num in found.items() if num)
        raise UserError(
            "the storage must hold no files under a new sweep's name, found some of another sweep "
            f"({there}; {home.storage_place}). Another ledger may need them: give this sweep "
            "another name (monosweep run SPEC --name NAME), or remove these folders if nobody does."
        )


def check_was_moved(storage: Storage, home: Home, name: str, trials: Sequence[Trial]) -> None:
    """Make sure that what a storage new to a sweep has under its name is the sweep's own.

    The names of its files tell what is in them, so that another sweep's differ.

    Raises:
        UserError: If there are files, but not all of the sweep's.
        StorageAwayError: If the storage does not answer.
    """
    with answering():
        found = set(storage.sizes(f"{cohort_results.FOLDER}/{name}"))
    named = named_files(trials)
    if found and not (named and named <= found):
        raise UserError(
            f"a storage that a sweep goes on in must hold all of its files or none, found "
            f"{len(named & found)} of {len(named)} among the {len(found)} files in "
            f"{cohort_results.FOLDER}/{name} ({home.storage_place}). Copy all of them there, or "
            "remove that folder if no other ledger needs it."
        )
