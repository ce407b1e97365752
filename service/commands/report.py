"""The command that writes a sweep's page: report."""

import gc
from pathlib import Path
from typing import Annotated

import typer

from service.commands.terminal import NameArgument, home_here, ledger_here, out


def report(
    name: NameArgument,
    output: Annotated[
        Path | None,
        typer.Option(help="The file; without it reports/NAME.html in the home.", dir_okay=False),
    ] = None,
) -> None:
    """Write a sweep's story, from question to verdict, as one HTML page with its figures."""
    from service.opened import open_sweep
    from service.report import write_report

    # Says what is amiss where there is no ledger.
    ledger_here().close()
    home = home_here()
    # A large sweep is a million small objects, none of them garbage before the page is written: to
    # look for some again and again takes a third of the time.
    gc.disable()
    try:
        path = write_report(open_sweep(name, home), home, output)
    finally:
        gc.enable()
    out.print(str(path), soft_wrap=True, markup=False, highlight=False)
