"""Removes files that nobody will need again."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from service import checkpoints
from service.cohort import Cohort
from service.cohort_results import FOLDER
from service.cohort_tables import named_files
from service.ledger import unfinished
from service.storage import Storage
from service.trials import Trial
from service.watching import Watcher

logger = logging.getLogger(__name__)


class Tidying(Watcher):
    """Removes checkpoints once results are in the ledger, and files that none of them names.

    A storage that refuses is no reason to stop: what is left is removed when the sweep is next
    resumed.

    Args:
        storage: Where they lie.
        sweep: The sweep's name.
    """

    def __init__(self, storage: Storage, sweep: str) -> None:
        self._storage = storage
        self._sweep = sweep

    def clear(self, trials: Sequence[Trial]) -> None:
        """Remove what is of no use any more, when no worker is left.

        A cohort that was stopped just when it had ended has written its files, and its results were
        heard by nobody: it goes on from its checkpoint, and writes others.
        """
        with _going_on():
            needed = {trial.cohort_id for trial in unfinished(trials)}
            checkpoints.remove_all_but(self._storage, self._sweep, needed)
            for path in unread_files(self._storage, self._sweep, trials):
                self._storage.remove_file(path)

    def cohort_ended(self, cohort: Cohort) -> None:
        """The results of all its trials are in the ledger."""
        self._remove(cohort.cohort_id)

    def cohort_split(self, cohort_id: str, halves: Sequence[str]) -> None:
        """Its halves begin anew: its checkpoints are of all its trials."""
        self._remove(cohort_id)

    def _remove(self, cohort_id: str) -> None:
        with _going_on():
            checkpoints.remove(self._storage, self._sweep, cohort_id)


def unread_files(storage: Storage, sweep: str, trials: Sequence[Trial]) -> dict[str, int]:
    """Bytes of each file that no result names: its attempt died before it was recorded."""
    named = named_files(trials)
    found = storage.sizes(f"{FOLDER}/{sweep}")
    return {path: size for path, size in found.items() if path not in named}


@contextmanager
def _going_on() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        logger.warning("files that are no longer needed could not be removed: %s", error)
