"""Following a sweep from elsewhere, as several commands do."""

from typing import TYPE_CHECKING

from service.commands.terminal import err, show_verdict
from service.errors import InterruptedSweepError, SweepDeletingError, SweepFailedError

if TYPE_CHECKING:
    from service.place import Place


def to_the_verdict(there: "Place", name: str) -> None:
    """Show where a sweep stands until nobody is at work on it, then its verdict.

    Raises:
        SweepFailedError: If it failed.
        SweepDeletingError: If it is being deleted.
        InterruptedSweepError: If nobody goes on with it.
    """
    from service.follow import showing
    from service.ledger import being_deleted
    from service.stage_view import stage_of

    with showing(err) as show:
        found = there.follow(name, show)
    stage = stage_of(found)
    match stage:
        case "finished":
            show_verdict(there.answer(name).verdict, there)
        case "failed":
            raise SweepFailedError(found["failure"] or found.get("problem"))
        case "deleting":
            raise SweepDeletingError(being_deleted(name))
        case _:
            raise InterruptedSweepError(
                f"Nobody is at work on the sweep {name} ({stage}, phase "
                f"{found['phase']}). Go on with it: monosweep resume {name}{there.again}"
            )
