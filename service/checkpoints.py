"""The checkpoints of cohorts: two deep, so that one that was cut short costs one interval.

Those of a cohort lie at ``cohorts/<sweep>/<cohort_id>/<attempt>-<step>.safetensors`` in the
storage. Whoever runs the cohort next goes on from the newest that is whole and the cohort's own. A
later attempt's are newer: it went on from the best of the earlier ones.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.storage import Storage

FOLDER = "cohorts"
SUFFIX = ".safetensors"
# The newest, and the one before it.
DEPTH = 2


State = TypeVar("State")


@dataclass(frozen=True)
class Adopted(Generic[State]):
    """What a cohort goes on from.

    Attributes:
        state: The state that was read, or None if there was none that could be.
        refused: Why newer checkpoints were not read, each named.
    """

    state: State | None
    refused: tuple[str, ...]


class Checkpoints:
    """The checkpoints of one cohort.

    Args:
        storage: Where they lie.
        sweep: The sweep's name.
        cohort_id: The cohort.
    """

    def __init__(self, storage: Storage, sweep: str, cohort_id: str) -> None:
        self._storage = storage
        self._folder = f"{FOLDER}/{sweep}/{cohort_id}"

    def write(self, data: bytes, *, num_steps_done: int, attempt: int) -> None:
        """Add a checkpoint, and remove what is older than the one before it.

        Raises:
            OSError: If the storage refuses.
        """
        # As many digits as neither has, so that names sort as numbers do.
        name = f"{attempt:06d}-{num_steps_done:015d}{SUFFIX}"
        self._storage.write_bytes(f"{self._folder}/{name}", data)
        for older in self._names()[DEPTH:]:
            self._storage.remove_file(f"{self._folder}/{older}")

    def adopt(self, read: Callable[[bytes], State]) -> Adopted[State]:
        """The newest state that ``read`` makes of a checkpoint; newer ones are removed.

        Left there, what cannot be read would count as one of the two.

        Args:
            read: Raises ValueError on bytes that the cohort cannot go on from.

        Raises:
            OSError: If the storage does not answer: to begin anew would lose what is there.
        """
        refused: dict[str, str] = {}
        state = None
        for name in self._names():
            path = f"{self._folder}/{name}"
            try:
                state = read(self._storage.read_bytes(path))
                break
            except ValueError as error:
                refused[path] = str(error)
        for path in refused:
            self._storage.remove_file(path)
        return Adopted(state, tuple(f"{path}: {why}" for path, why in refused.items()))

    def _names(self) -> list[str]:
        """Newest first."""
        names = self._storage.names(self._folder)
        return sorted((name for name in names if name.endswith(SUFFIX)), reverse=True)


def remove(storage: Storage, sweep: str, cohort_id: str) -> None:
    """Remove all checkpoints of a cohort."""
    storage.remove_folder(f"{FOLDER}/{sweep}/{cohort_id}")


def remove_all_but(storage: Storage, sweep: str, cohort_ids: Collection[str]) -> None:
    """Remove the checkpoints of a sweep's cohorts except these, such as a dead driver left."""
    for cohort_id in storage.names(f"{FOLDER}/{sweep}"):
        if cohort_id not in cohort_ids:
            remove(storage, sweep, cohort_id)
