"""The command that writes a sweep's page: report."""

from pathlib import Path
from typing import Annotated

import typer

from service.commands.terminal import NameArgument, ServerOption, out, place
from service.errors import UserError

# How every page begins, what it says before its first section, and how far down that may be.
_BEGINNING = b"<!DOCTYPE html>"
_SAID = b'<p class="kicker">monosweep report</p>'
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
    there = place(server)
    path = output or there.page(name)
    _check_is_no_other_file(path)
    there.report(name, path)
    out.print(str(path), soft_wrap=True, markup=False, highlight=False)


def _check_is_no_other_file(path: Path) -> None:
    """Only an earlier page is written over.

    Raises:
        UserError: If there is another file.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(_WITHIN_BYTES)
    except OSError:
        # Not there, or whoever writes it says what is wrong.
        return
    if not (beginning.startswith(_BEGINNING) and _SAID in beginning):
        raise UserError(
            f"--output must be a new file or an earlier report, found {path}, which is neither. "
            "Name another."
        )
