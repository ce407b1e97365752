"""What can go wrong, and the exit code each kind ends the command with.

A message says what must hold, what was found and where, and what to do.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


class MonosweepError(Exception):
    """Root of every error that monosweep raises on purpose."""

    exit_code = 1


class UserError(MonosweepError):
    """The user's mistake: exit code 2, a message and never a traceback."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing that a sweep file must mend.

    Attributes:
        message: What must hold, what was found and where, what to do.
        path: The key, dotted (``search_space.learning_rate``); empty for the file as a whole.
        line: The line of the key, from 1; of what would hold it where it is missing.
    """

    message: str
    path: str
    line: int


class SpecError(UserError):
    """The sweep file does not say what it must.

    Attributes:
        problems: Everything found wrong in the file's text, by line; empty where there is no text.
    """

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems

    @classmethod
    def of(cls, origin: str, problems: Iterable[Problem]) -> Self:
        """The error that lists ``problems`` of the text called ``origin``, by line."""
        ordered = tuple(sorted(problems, key=lambda problem: problem.line))
        if len(ordered) == 1:
            return cls(f"{origin}: {ordered[0].message}", ordered)
        listed = [f"  - {problem.message}" for problem in ordered[:20]]
        if len(ordered) > 20:
            listed.append(f"  - and {len(ordered) - 20} more")
        return cls("\n".join([f"{origin}: {len(ordered)} problems", *listed]), ordered)


class SweepExistsError(UserError):
    """A sweep of this name is already in the ledger."""


class KeyReusedError(UserError):
    """An idempotency key was used for another submission before."""


class TokenError(UserError):
    """A token cannot be made or revoked as asked."""


class SweepNotFoundError(UserError):
    """No sweep of this name is in the ledger."""


class SweepDeletingError(UserError):
    """The sweep is being deleted, and nothing else can be done with it."""


class ElsewhereError(UserError):
    """The sweep's files lie in another storage than the one that was named."""


class LeaseHeldError(UserError):
    """Another live driver works on the sweep."""


class LeaseLostError(MonosweepError):
    """This driver lost the sweep to another one, and may write nothing more."""


class LedgerError(MonosweepError):
    """The ledger's database cannot be opened, read or written."""


class OlderLedgerError(LedgerError):
    """The ledger was written by an earlier version, and can be brought up to date."""


class StorageError(MonosweepError):
    """The storage does not answer, or a file that the ledger names is not in it."""


class TrackingError(MonosweepError):
    """MLflow does not answer, or refuses what it was asked for."""


class AwayError(MonosweepError):
    """A part of the system does not answer now; what was asked of it can be asked again.

    Attributes:
        part: What people call it, at the beginning of a sentence.
    """

    part: str


class LedgerAwayError(LedgerError, AwayError):
    """The ledger's database does not answer now."""

    part = "The ledger"


class StorageAwayError(StorageError, AwayError):
    """The storage does not answer now."""

    part = "The storage"


class TrackingAwayError(TrackingError, AwayError):
    """MLflow does not answer now, or refuses for now what it was asked for."""

    part = "MLflow"


class OutputError(MonosweepError):
    """What a command prints cannot be written."""


class ServerError(MonosweepError):
    """A server failed at what it was asked for."""


class ServerAwayError(ServerError, AwayError):
    """A server does not answer now, or refuses for now what it was asked for.

    Attributes:
        retry_after_s: How long it asked to be left alone; 0 if it did not say.
    """

    part = "The server"

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ServerSilentError(ServerAwayError):
    """A server gave no whole answer of its own: what was asked may be done all the same."""


class ClusterAwayError(AwayError):
    """The Ray cluster does not answer now, or does not let us in."""

    part = "The Ray cluster"


class ClusterTroubleError(ClusterAwayError):
    """The Ray cluster answers, and cannot do what it was asked for a job; others it may do."""


class ReconcilerError(MonosweepError):
    """A server's queue is not looked after any more."""


class SweepFailedError(MonosweepError):
    """The sweep cannot go on; the ledger says why."""


class WorkerError(MonosweepError):
    """A worker could not do what it was asked for."""


class CohortRefusedError(WorkerError):
    """A worker must not train a cohort, which another could: no fault of any trial."""


class InterruptedSweepError(MonosweepError):
    """The sweep was asked to stop; it can be resumed."""

    exit_code = 75
