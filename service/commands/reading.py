"""The commands that read what the ledger holds: status, best, importance, export."""

from pathlib import Path
from typing import Annotated

import typer

from service.commands.terminal import (
    JsonOption,
    NameArgument,
    home_here,
    ledger_here,
    out,
    print_json,
)


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


def importance(name: NameArgument, as_json: JsonOption = False) -> None:
    """Which settings mattered in a sweep's search, and how."""
    from service.importance import importance as importance_of
    from service.importance_view import importance_view

    found = importance_of(ledger_here(), name)
    print_json(found) if as_json else out.print(importance_view(found))


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
