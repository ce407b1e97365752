"""The checkpoints of cohorts: two deep, so that one that was cut short costs one interval.

Those of a cohort lie at ``cohorts/<sweep>/<cohort_id>/<attempt>-<step>.safetensors`` in the
storage. Whoever runs the cohort next goes on from the newest that is whole and the cohort's own. A
later attempt's are newer: it went on from the best of the earlier ones.
"""

import time
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import pyarrow as pa

from service.errors import StorageAwayError
from service.outages import Outage
from service.storage import Storage

if TYPE_CHECKING:
    from trainers import CohortState

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
            read: Raises ValueError on bytes that nobody can go on from.

        Raises:
            OSError: If the storage does not answer: to begin anew would lose what is there.
            Exception: What else ``read`` raises; nothing is removed then.
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


class CheckpointWriter:
    """Writes a cohort's checkpoints on a time budget, while training goes on.

    One thread; all methods are for the thread that trains.

    Args:
        checkpoints: The cohort's.
        attempt: Which execution of the cohort this is.
        interval_s: Seconds between two checkpoints.
        outage: Met by checkpoints that could not be written.
    """

    def __init__(
        self, checkpoints: Checkpoints, attempt: int, interval_s: float, outage: Outage
    ) -> None:
        self._checkpoints = checkpoints
        self._attempt = attempt
        self._interval_s = interval_s
        self._due = time.monotonic() + interval_s
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._writing: Future[None] | None = None
        self._outage = outage
        self._is_closed = False

    @property
    def is_due(self) -> bool:
        """Whether it is time for one.

        Where the storage is slower than the interval, the next one waits for the last.
        """
        is_busy = self._writing is not None and not self._writing.done()
        return time.monotonic() >= self._due and not is_busy

    def submit(self, state: "CohortState") -> None:
        """Have the state as it is now written; nothing once it is closed."""
        import trainers  # noqa: PLC0415 - a worker's, seconds to import

        if self._is_closed:
            return
        self._due = time.monotonic() + self._interval_s
        self.look()
        self._writing = self._thread.submit(
            self._checkpoints.write,
            trainers.to_bytes(state),
            num_steps_done=state.step,
            attempt=self._attempt,
        )

    def close(self) -> None:
        """Wait until all is written or refused."""
        self._is_closed = True
        self._thread.shutdown(wait=True)

    def look(self) -> None:
        """Whether the last one was written; if not, that costs time only if this attempt dies."""
        if self._writing is None or not self._writing.done():
            return
        error = self._writing.exception()
        self._writing = None
        if isinstance(error, OSError | pa.ArrowException):
            said = f"a checkpoint could not be written: {str(error).rstrip('.')}."
            self._outage.met(StorageAwayError(said), "Training goes on.")
        elif error is not None:
            raise error
        else:
            self._outage.is_over()


def remove(storage: Storage, sweep: str, cohort_id: str) -> None:
    """Remove all checkpoints of a cohort."""
    storage.remove_folder(f"{FOLDER}/{sweep}/{cohort_id}")


def remove_all_but(storage: Storage, sweep: str, cohort_ids: Collection[str]) -> None:
    """Remove the checkpoints of a sweep's cohorts except these, such as a dead driver left."""
    for cohort_id in storage.names(f"{FOLDER}/{sweep}"):
        if cohort_id not in cohort_ids:
            remove(storage, sweep, cohort_id)
