"""The command line. Results go to standard output, progress and messages to standard error."""

import errno
import logging
import os
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
from service.commands.terminal import err, out
from service.errors import AwayError, InterruptedSweepError, MonosweepError
from service.home import without_password

# How a disk says that it takes no more.
_FULL = (errno.ENOSPC, errno.EDQUOT)

app = typer.Typer(
    name="monosweep",
    help="Sweeps over toy models: which bias and width settings make neurons mean one thing, at "
    "no cost in loss?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
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
        try:
            app(prog_name="monosweep")
        finally:
            # Not at the interpreter's end, which tells of a failure by a traceback.
            if sys.stdout is not None:
                sys.stdout.flush()
    except MonosweepError as error:
        said = without_password(str(error))
        if isinstance(error, AwayError):
            said += f" When it answers: {shlex.join(['monosweep', *sys.argv[1:]])}"
        _say_last(said, "yellow" if isinstance(error, InterruptedSweepError) else "red")
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        # Of what is printed: what is kept of sweeps has errors of its own.
        _say_last(
            f"Not all could be written, found: {error}. Make room, then give it again.", "red"
        )
        _let_go_of_output()
        sys.exit(MonosweepError.exit_code)


def _say_last(said: str, style: str) -> None:
    err.print(said, style=style, markup=False, highlight=False, soft_wrap=True)


def _let_go_of_output() -> None:
    """Forget what standard output did not take: the interpreter's end would try it once more."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
