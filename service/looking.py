"""The commands that look at a sweep more closely: watch."""

from service.errors import InterruptedSweepError, SweepFailedError
from service.terminal import NameArgument, err, home_here, ledger_here, out


def watch(name: NameArgument) -> None:
    """Follow a running sweep, from any machine that reaches its ledger, to its verdict."""
    from service.display import verdict_view
    from service.follow import follow
    from service.recorded import verdict_of

    ledger = ledger_here()
    found = follow(ledger, name, err)
    if found["state"] == "failed":
        raise SweepFailedError(found["failure"])
    if found["state"] == "finished":
        out.print(
            verdict_view(verdict_of(ledger.sweep(name)), home_here().tracking_uri), crop=False
        )
        return
    raise InterruptedSweepError(
        f"Nobody is at work on the sweep {name} ({found['state']}, phase {found['phase']}). "
        f"Go on with it: monosweep resume {name}"
    )
