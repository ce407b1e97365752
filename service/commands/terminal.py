"""What the commands share: both streams, common arguments, the home and its ledger."""

import json
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from service.home import Home

if TYPE_CHECKING:
    from service.ledger import Ledger

out = Console(soft_wrap=False)
err = Console(stderr=True)

SpecArgument = Annotated[
    str,
    typer.Argument(
        metavar="SPEC", help="A sweep file, or a packaged sweep: quickstart or paper-size."
    ),
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The sweep's name.")]
AddressOption = Annotated[
    str | None, typer.Option(help="A running Ray cluster; without it Ray is started here.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print strict JSON.")]


def home_here() -> Home:
    """The home that the environment names."""
    return Home.from_environment()


def ledger_here(*, bring_up_to_date: bool = False) -> "Ledger":
    """The home's ledger; a command that does not begin a sweep never makes one.

    Args:
        bring_up_to_date: For commands that write; one that only looks changes nothing.
    """
    from service.ledger import Ledger
    from service.remains import refuse_remains

    home = home_here()
    return Ledger(
        home.ledger_url,
        create=False,
        bring_up_to_date=bring_up_to_date,
        on_missing=partial(refuse_remains, home),
    )


def print_json(value: Any) -> None:
    """Strict JSON: what is unknown is null, and nothing is infinite."""
    print(json.dumps(value, indent=2, allow_nan=False))
