"""The commands that have a sweep trained here or on a cluster: run, resume."""

from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.terminal import (
    AddressOption,
    NameArgument,
    SpecArgument,
    err,
    home_here,
    ledger_here,
    out,
)

if TYPE_CHECKING:
    from service.spec import Spec


def run(
    spec: SpecArgument,
    name: Annotated[str | None, typer.Option(help="A name other than the file's.")] = None,
    address: AddressOption = None,
) -> None:
    """Run a sweep from its file to its verdict."""
    from service import sweep
    from service.spec import load_spec

    loaded = load_spec(spec)
    if name is not None:
        loaded = loaded.with_name(name)
    _to_the_verdict(
        loaded, loaded.search.num_trials, partial(sweep.run, loaded, home_here(), address=address)
    )


def resume(
    name: NameArgument,
    num_trials: Annotated[
        int | None, typer.Option(min=1, help="A new, larger number of search trials.")
    ] = None,
    address: AddressOption = None,
    accept_changes: Annotated[
        bool, typer.Option(help="Go on although versions or the storage have changed.")
    ] = False,
) -> None:
    """Go on with a sweep after any interruption, or extend a finished one."""
    from service import sweep
    from service.outages import resumable
    from service.recorded import spec_of

    with resumable(name), closing(ledger_here(bring_up_to_date=True)) as ledger:
        record = ledger.sweep(name)
    if record.state == "finished" and num_trials in (None, record.num_trials):
        said = f"The sweep {name} is finished: its verdict again. To extend it: --num-trials N"
        err.print(said, markup=False, highlight=False)
    _to_the_verdict(
        spec_of(record),
        num_trials or record.num_trials,
        partial(
            sweep.resume,
            name,
            home_here(),
            num_trials=num_trials,
            address=address,
            accept_changes=accept_changes,
        ),
    )


def _to_the_verdict(spec: "Spec", num_trials: int, work: Callable[..., dict[str, Any]]) -> None:
    """Do the work under a progress view, then print the verdict."""
    from service.display import verdict_view
    from service.running import watched

    verdict = watched(spec, num_trials, work, err)
    out.print(verdict_view(verdict, home_here().tracking_uri), crop=False)
