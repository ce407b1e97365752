"""The command line. Results go to standard output, progress and messages to standard error."""

import logging
import shlex
import sys
from typing import Annotated

import typer

from service.commands import (
    checking,
    driving,
    looking,
    pages,
    paper,
    reading,
    remote,
    report,
    serving,
    upkeep,
)
from service.commands.output import telling_of_a_full_disk
from service.commands.terminal import err, out
from service.errors import AwayError, InterruptedSweepError, MonosweepError
from service.home import without_password

app = typer.Typer(
    name="monosweep",
    help="Sweeps over toy models: which bias and width settings make neurons mean one thing, at "
    "no cost in loss?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version  # noqa: PLC0415 - a good part of --help's time

        out.print(f"monosweep {version('monosweep')}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Options of every command."""
    # Here, since whoever only asks for help need not wait for it.
    from rich.logging import RichHandler  # noqa: PLC0415

    logging.basicConfig(
        level=logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=err, show_time=False, show_path=False, show_level=False)],
    )


_COMMANDS = (
    driving.run,
    driving.resume,
    remote.submit,
    remote.stop,
    reading.status,
    reading.best,
    reading.importance,
    reading.export,
    checking.validate,
    checking.schema,
    looking.watch,
    remote.logs,
    looking.reproduce,
    paper.paper,
    looking.interpret,
    pages.ui,
    report.report,
    upkeep.delete,
    upkeep.doctor,
    serving.serve,
)
for _command in _COMMANDS:
    app.command()(_command)
app.add_typer(serving.token)


def main() -> None:
    """Run a command; every error of ours ends with its message and exit code."""
    try:
        with telling_of_a_full_disk():
            app(prog_name="monosweep")
    except MonosweepError as error:
        style = "yellow" if isinstance(error, InterruptedSweepError) else "red"
        said = without_password(str(error))
        if isinstance(error, AwayError):
            said += f" When it answers: {shlex.join(['monosweep', *sys.argv[1:]])}"
        err.print(said, style=style, markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
