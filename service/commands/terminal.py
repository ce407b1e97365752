"""What the commands share: both streams, common arguments, the home and its ledger."""

import json
import os
import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from service.errors import UserError
from service.home import Home, without_password

if TYPE_CHECKING:
    from service.client import Server
    from service.ledger import Ledger
    from service.place import Place

_SERVER = "MONOSWEEP_SERVER"

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
ServerOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar=_SERVER,
        help="A monosweep server; without one the sweeps of this home.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print strict JSON.")]


def say(line: str) -> None:
    """A line for people, on standard error, whole however narrow the terminal."""
    err.print(line, markup=False, highlight=False, soft_wrap=True)


def home_here() -> Home:
    """The home that the environment names."""
    return Home.from_environment()


def ledger_here(*, bring_up_to_date: bool = False) -> "Ledger":
    """The home's ledger; a command that does not begin a sweep never makes one.

    Args:
        bring_up_to_date: For commands that write; one that only looks changes nothing.
    """
    from service.here import ledger_of

    return ledger_of(home_here(), bring_up_to_date=bring_up_to_date)


def server_at(url: str) -> "Server":
    """The server at a URL, with the token that the environment names."""
    from service.client import Access, Server

    return Server(Access.from_environment(url))


def place(server: str | None) -> "Place":
    """Where a command's sweep is: at a server if one is named, or else in this home."""
    if server:
        return server_at(server)
    from service.here import Here

    return Here(home_here())


def check_asks_this_home(command: str, name: str, *words: str) -> None:
    """Refuse a command that knows this home's sweeps only to whoever asks a server otherwise.

    The home may have another sweep of that name.

    Args:
        command: The command.
        name: The sweep.
        words: What else it is told.

    Raises:
        UserError: If the environment names a server.
    """
    server = os.environ.get(_SERVER)
    if server:
        again = shlex.join(["monosweep", command, name, *words])
        raise UserError(
            f"{command} must be asked of this home, whose ledger it reads, found the server "
            f"{without_password(server)} ({_SERVER}), which has sweeps of its own. To ask this "
            f"home: {_SERVER}= {again}; for what the server has of it: "
            f"{shlex.join(['monosweep', 'export', name, '--output', 'DIR'])}"
        )


def show_verdict(verdict: dict[str, Any], there: "Place") -> None:
    """Print a verdict, and where to look next."""
    from service.display import verdict_view

    out.print(verdict_view(verdict, there.tracking_uri, there.again), crop=False)


def print_json(value: Any) -> None:
    """Strict JSON: what is unknown is null, and nothing is infinite."""
    print(json.dumps(value, indent=2, allow_nan=False))
