"""The command that writes a sweep's page: report."""

from pathlib import Path
from typing import Annotated

import typer

from service.commands.terminal import NameArgument, ServerOption, out, place
from service.errors import UserError

# What every page says before its first section, and how far down that may be.
_SAID = b"monosweep report"
_WITHIN_BYTES = 2**16


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
    if output is not None:
        _check_is_no_other_file(output)
    path = place(server).report(name, output)
    out.print(str(path), soft_wrap=True, markup=False, highlight=False)


def _check_is_no_other_file(path: Path) -> None:
    """Only what is a page already is written over.

    Raises:
        UserError: If there is another file.
    """
    try:
        with path.open("rb") as file:
            is_page = _SAID in file.read(_WITHIN_BYTES)
    except OSError:
        # Not there, or whoever writes it says what is wrong.
        return
    if not is_page:
        raise UserError(
            f"--output must be a new file or an earlier report, found {path}, which is neither. "
            "Name another."
        )
