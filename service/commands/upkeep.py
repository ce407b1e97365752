"""The commands that look after what is there: delete, doctor."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.terminal import (
    JsonOption,
    NameArgument,
    ServerOption,
    err,
    home_here,
    out,
    place,
    print_json,
)
from service.errors import MonosweepError, UserError

if TYPE_CHECKING:
    from service.place import Extent


def delete(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    server: ServerOption = None,
) -> None:
    """Delete a sweep everywhere: ledger, MLflow, curves, neurons and checkpoints."""
    there = place(server)
    extent = there.extent(name)
    what = _described(extent)
    # Who began a deletion was asked then.
    if not yes and not extent.is_begun:
        _ask(name, what, there.again)
    there.delete(name)
    err.print(f"Deleted the sweep {name}: {what}", markup=False, highlight=False)


def _described(extent: "Extent") -> str:
    size = "" if extent.num_bytes is None else f"{extent.num_bytes / 2**20:.1f} MiB of "
    verdict = extent.verdict or "There is no verdict yet."
    return f"{extent.num_trials} trials, {size}files. {verdict}"


def _ask(name: str, what: str, again: str) -> None:
    if not sys.stdin.isatty():
        raise UserError(
            "somebody at a terminal must say yes to a deletion, found no terminal. "
            f"Say it with: monosweep delete {name} --yes{again}"
        )
    err.print(f"The sweep {name}: {what}", markup=False, highlight=False)
    if not typer.confirm("Delete it for good?", err=True):
        raise MonosweepError("Nothing was deleted.")


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what can be mended without losing anything.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look ledger, storage, checkpoints and MLflow over, and say what takes room."""
    from service import doctor as examination

    home = home_here()
    report = examination.mend_all(home) if fix else examination.examine(home)
    if as_json:
        print_json(examination.report_json(report))
    else:
        out.print(examination.report_view(report), soft_wrap=True)
    if not report.is_well:
        sys.exit(MonosweepError.exit_code)
