"""The commands that look at a sweep more closely: watch, reproduce, interpret."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from service.commands.terminal import (
    JsonOption,
    NameArgument,
    ServerOption,
    check_asks_this_home,
    home_here,
    out,
    place,
    print_json,
    say,
)
from service.commands.watched import to_the_verdict
from service.errors import MonosweepError

TrialArgument = Annotated[
    str,
    typer.Argument(
        metavar="TRIAL", help="A trial: search/12, confirmation/3; a bare number means search."
    ),
]


def watch(name: NameArgument, server: ServerOption = None) -> None:
    """Follow a running sweep, from any machine that reaches it, to its verdict."""
    from service import stopping

    there = place(server)
    stopping.part_with(
        f"The sweep {name} goes on. See it with: monosweep status {name}{there.again}"
    )
    to_the_verdict(there, name)


def reproduce(name: NameArgument, trial: TrialArgument) -> None:
    """Train a trial again, here and alone, and compare every number of its curves."""
    from service.opened import open_sweep
    from service.reproduction import reproduce as trained_again
    from service.reproduction_view import reproduction_view

    check_asks_this_home("reproduce", name, trial)
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

    check_asks_this_home("interpret", name, trial)
    found = interpreted(network_of(open_sweep(name, home_here()), trial))
    print_json(found.as_json()) if as_json else out.print(interpretation_view(found))
    for path in found.write(output) if output is not None else ():
        say(str(path))
