"""The command that writes a sweep's page: report."""

from pathlib import Path
from typing import Annotated

import typer

from service.commands.terminal import NameArgument, ServerOption, out, place


def report(
    name: NameArgument,
    output: Annotated[
        Path | None,
        typer.Option(
            help="The file; without it reports/NAME.html in the home, or NAME.html from a server.",
            dir_okay=False,
        ),
    ] = None,
    server: ServerOption = None,
) -> None:
    """Write a sweep's story, from question to verdict, as one HTML page with its figures."""
    path = place(server).report(name, output)
    out.print(str(path), soft_wrap=True, markup=False, highlight=False)
