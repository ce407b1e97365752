"""The commands that read what the ledger holds: status, best, importance, export."""

from pathlib import Path
from typing import Annotated

import typer

from service.commands.terminal import (
    JsonOption,
    NameArgument,
    ServerOption,
    check_asks_this_home,
    ledger_here,
    out,
    place,
    print_json,
    show_verdict,
)
from service.place import TABLES, Table


def status(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A sweep.")] = None,
    as_json: JsonOption = False,
    server: ServerOption = None,
) -> None:
    """Where a sweep stands, or all of them."""
    from service.display import status_view, statuses_table

    there = place(server)
    if name is not None:
        found = there.status(name)
        print_json(found) if as_json else out.print(status_view(found, there.again))
        return
    all_found = there.statuses()
    if as_json:
        print_json(all_found)
    elif all_found:
        out.print(statuses_table(all_found))
    else:
        out.print("No sweeps yet. Start one with: monosweep run quickstart")


def best(name: NameArgument, as_json: JsonOption = False, server: ServerOption = None) -> None:
    """The verdict."""
    from service.display import no_verdict_view

    there = place(server)
    answer = there.answer(name)
    if as_json:
        print_json(answer.verdict)
    elif answer.state is not None:
        ended = answer.verdict["search_ended"]
        out.print(no_verdict_view(name, answer.state, ended, there.again), crop=False)
    else:
        show_verdict(answer.verdict, there)


def importance(name: NameArgument, as_json: JsonOption = False) -> None:
    """Which settings mattered in a sweep's search, and how."""
    from service.importance import importance as importance_of
    from service.importance_view import importance_view

    check_asks_this_home("importance", name)
    found = importance_of(ledger_here(), name)
    print_json(found) if as_json else out.print(importance_view(found))


def export(
    name: NameArgument,
    output: Annotated[Path, typer.Option(help="The folder to write to.", file_okay=False)],
    table: Annotated[
        list[Table] | None, typer.Option(help="Only this one; may be given several times.")
    ] = None,
    server: ServerOption = None,
) -> None:
    """Write trials, curves and neurons as Parquet."""
    for path in place(server).export(name, output, table or TABLES):
        out.print(str(path), soft_wrap=True, markup=False, highlight=False)
