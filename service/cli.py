"""The command line. Results go to standard output, progress and messages to standard error."""

import logging
import shlex
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.logging import RichHandler

from service import looking, pages, upkeep
from service.errors import AwayError, InterruptedSweepError, MonosweepError
from service.home import without_password
from service.paper import command as paper
from service.report_command import report
from service.terminal import (
    AddressOption,
    JsonOption,
    NameArgument,
    SpecArgument,
    err,
    home_here,
    ledger_here,
    out,
    print_json,
)

if TYPE_CHECKING:
    from service.spec import Spec

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


@app.command()
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


@app.command()
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


@app.command()
def status(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A sweep.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Where a sweep stands, or all of them."""
    from service.display import status_view, statuses_table
    from service.status import status as status_of

    ledger = ledger_here()
    if name is not None:
        found = status_of(ledger, name)
        print_json(found) if as_json else out.print(status_view(found))
        return
    all_found = [status_of(ledger, each) for each in ledger.names()]
    if as_json:
        print_json(all_found)
    elif all_found:
        out.print(statuses_table(all_found))
    else:
        out.print("No sweeps yet. Start one with: monosweep run quickstart")


@app.command()
def best(name: NameArgument, as_json: JsonOption = False) -> None:
    """The verdict."""
    from service.display import no_verdict_view, verdict_view
    from service.recorded import verdict_of

    record = ledger_here().sweep(name)
    verdict = verdict_of(record)
    if as_json:
        print_json(verdict)
    elif record.verdict is None:
        out.print(no_verdict_view(name, record.state, verdict["search_ended"]), crop=False)
    else:
        out.print(verdict_view(verdict, home_here().tracking_uri), crop=False)


@app.command()
def importance(name: NameArgument, as_json: JsonOption = False) -> None:
    """Which settings mattered in a sweep's search, and how."""
    from service.importance import importance as importance_of
    from service.importance_view import importance_view

    found = importance_of(ledger_here(), name)
    print_json(found) if as_json else out.print(importance_view(found))


@app.command()
def export(
    name: NameArgument,
    output: Annotated[Path, typer.Option(help="The folder to write to.", file_okay=False)],
) -> None:
    """Write trials, curves and neurons as Parquet."""
    from service import tables
    from service.recorded import spec_of
    from service.storage import Storage

    ledger = ledger_here()
    record = ledger.sweep(name)
    record.check_is_kept()
    spec = spec_of(record)
    for path in tables.export(ledger, spec, Storage(home_here().storage), output):
        out.print(str(path), soft_wrap=True, markup=False, highlight=False)


@app.command()
def validate(spec: SpecArgument) -> None:
    """Check a sweep file, and say what it will take."""
    from service.display import plan_view
    from service.estimate import estimate
    from service.planning import resolve
    from service.room import Machine, Room
    from service.spec import load_spec

    loaded = load_spec(spec)
    here = Machine.here()
    resolved = resolve(loaded, Room((here,)))
    out.print(plan_view(loaded.settings(), resolved, estimate(loaded, resolved)))
    if not here.num_cohorts(resolved.cpus, resolved.gpus):
        out.print(
            f"Not on this machine: a cohort needs {resolved.cpus} CPUs and {resolved.gpus:g} GPUs, "
            f"found {here.num_cpus} and {here.num_gpus:g}. Run it on a cluster (--address), or "
            "lower compute.cpus or compute.gpus.",
            style="yellow",
            highlight=False,
        )


@app.command()
def schema() -> None:
    """Print the JSON Schema of the sweep file."""
    from service.spec import json_schema

    print_json(json_schema())


app.command()(looking.watch)
app.command()(looking.reproduce)
app.command()(paper.paper)
app.command()(looking.interpret)
app.command()(pages.ui)
app.command()(report)
app.command()(upkeep.delete)
app.command()(upkeep.doctor)


def main() -> None:
    """Run a command; every error of ours ends with its message and exit code."""
    logging.basicConfig(
        level=logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=err, show_time=False, show_path=False, show_level=False)],
    )
    try:
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
