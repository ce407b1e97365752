"""What can go wrong, and the exit code each kind ends the command with.

A message says what must hold, what was found and where, and what to do.
"""


class MonosweepError(Exception):
    """Root of every error that monosweep raises on purpose."""

    exit_code = 1


class UserError(MonosweepError):
    """The user's mistake: exit code 2, a message and never a traceback."""

    exit_code = 2


class SpecError(UserError):
    """The sweep file does not say what it must."""


class SweepExistsError(UserError):
    """A sweep of this name is already in the ledger."""


class SweepNotFoundError(UserError):
    """No sweep of this name is in the ledger."""


class LeaseHeldError(UserError):
    """Another live driver works on the sweep."""


class LeaseLostError(MonosweepError):
    """This driver lost the sweep to another one, and may write nothing more."""


class SweepFailedError(MonosweepError):
    """The sweep cannot go on; the ledger says why."""


class InterruptedSweepError(MonosweepError):
    """The sweep was asked to stop; it can be resumed."""

    exit_code = 75
