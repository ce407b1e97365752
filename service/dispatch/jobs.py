"""Programs that a cluster runs for a server."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True)
class JobState:
    """Where a job stands.

    Attributes:
        status: ``pending`` until its program runs, ``ended`` however that came.
        exit_code: What its program ended with, negative for a signal; None if nobody was told, as
            of one that was stopped.
        message: What is said of its end, in words for people, or None.
    """

    status: Literal["pending", "running", "ended"]
    exit_code: int | None
    message: str | None


class Jobs(Protocol):
    """What a server needs of a cluster; every call answers or raises in a few seconds.

    All raise ``ClusterAwayError`` if the cluster does not answer now.
    """

    def submit(self, job_id: str, words: Sequence[str]) -> None:
        """Have ``monosweep WORDS`` run as a job; nothing if there is a job of this id already."""

    def stop(self, job_id: str) -> None:
        """Ask a job to end, which is given the time to leave checkpoints; returns at once.

        Nothing if it has ended, or there is none of this id.
        """

    def state(self, job_id: str) -> JobState | None:
        """Where a job stands, or None if the cluster knows none of this id (any more)."""

    def log(self, job_id: str, num_lines: int) -> str:
        """The last lines that a job printed; empty if there are none, or no such job."""
