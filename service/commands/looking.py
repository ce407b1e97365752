"""The commands that look at a sweep more closely: watch, reproduce, interpret."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from service.commands.terminal import (
    JsonOption,
    NameArgument,
    err,
    home_here,
    ledger_here,
    out,
    print_json,
)
from service.errors import InterruptedSweepError, MonosweepError, SweepFailedError

TrialArgument = Annotated[
    str,
    typer.Argument(
        metavar="TRIAL", help="A trial: search/12, confirmation/3; a bare number means search."
    ),
]


def watch(name: NameArgument) -> None:
    """Follow a running sweep, from any machine that reaches its ledger, to its verdict."""
    from service.display import verdict_view
    from service.follow import follow
    from service.recorded import verdict_of

    ledger = ledger_here()
    found = follow(ledger, name, err)
    ledger.sweep(name).check_is_kept()
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


def reproduce(name: NameArgument, trial: TrialArgument) -> None:
    """Train a trial again, here and alone, and compare every number of its curves."""
    from service.opened import open_sweep
    from service.reproduction import reproduce as trained_again
    from service.reproduction_view import reproduction_view

    found = trained_again(open_sweep(name, home_here()), trial)
    out.print(reproduction_view(found))
    if found.differences:
        sys.exit(MonosweepError.exit_code)


def interpret(
    name: NameArgument,
    trial: TrialArgument,
    output: Annotated[
        Path | None,
        typer.Option(help="A folder for tables of every neuron and feature.", file_okay=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what the neurons of a trial's network do, the polysemantic ones included."""
    from service.interpretation_view import interpretation_view
    from service.interpreted import interpreted
    from service.network_of_trial import network_of
    from service.opened import open_sweep

    found = interpreted(network_of(open_sweep(name, home_here()), trial))
    print_json(found.as_json()) if as_json else out.print(interpretation_view(found))
    for path in found.write(output) if output is not None else ():
        err.print(str(path), soft_wrap=True, markup=False, highlight=False)
