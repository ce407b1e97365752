"""A batch trained by its sweeps: begun, gone on with, or, where they have ended, only read."""

from service import running
from service.errors import InterruptedSweepError, SweepExistsError, UserError
from service.home import Home
from service.paper.result import BatchResult, gathered
from service.paper.scaling import ScaledBatch
from service.paper.sweep_files import command, sweeps_of


def trained(
    scaled: ScaledBatch, home: Home, *, address: str | None = None, again: str | None = None
) -> BatchResult:
    """Train what is missing of a batch, and say what came of all of it.

    Args:
        scaled: The batch as it is to be trained.
        home: Where its sweeps are written.
        address: A Ray cluster, or None to run on this machine.
        again: The command that goes on with it; by default its own.

    Raises:
        UserError: If a sweep of that name is there with another file.
        SweepFailedError: If a baseline cannot be trained.
        InterruptedSweepError: If it was asked to stop; the same call goes on.
    """
    sweeps = sweeps_of(scaled)
    own = command(scaled.batch.name, scaled.scaling)
    for sweep in sweeps:
        try:
            running.run(sweep.spec, home=home, address=address)
        except InterruptedSweepError as error:
            raise InterruptedSweepError(
                f"{error} Or go on with all of it: {again or own}"
            ) from error
        except SweepExistsError as error:
            raise _taken(sweep.spec.name, own) from error
    return gathered(scaled, sweeps, home)


def _taken(name: str, own: str) -> UserError:
    return UserError(
        f"the sweep {name} must be the one that {own} makes, found another file under that name, "
        f"of an earlier version perhaps. See it: monosweep best {name}; to train the batch anew: "
        f"monosweep delete {name}"
    )
