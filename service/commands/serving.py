"""The commands of a server: serve, and token create, revoke and list."""

import os
import sys
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from service.commands.terminal import JsonOption, home_here, ledger_here, out, print_json, say
from service.errors import UserError
from service.simple_word import SIMPLE_WORD, is_simple_word

if TYPE_CHECKING:
    from socket import socket

    from service.api.limits import Limits
    from service.api.pages.links import Link
    from service.ledger import Ledger

token = typer.Typer(
    name="token",
    help="Who may use a server: create, revoke and list tokens.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def serve(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port.")] = 8700,
    ray: Annotated[
        str,
        typer.Option(
            envvar="RAY_API_SERVER_ADDRESS", help="Ray's dashboard, by which drivers are started."
        ),
    ] = "http://127.0.0.1:8265",
    max_sweeps: Annotated[int, typer.Option(min=1, help="Sweeps at work at a time.")] = 2,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Ask for no token; on this machine only.")
    ] = False,
) -> None:
    """Serve the HTTP API: take sweeps from many users, and have them driven on a cluster."""
    from service import collecting
    from service.api import serving
    from service.api.limits import Limits
    from service.api.pages.links import links_from_environment

    collecting.as_before()
    if no_auth:
        serving.check_is_loopback(host)
    limits, links = Limits.from_environment(), links_from_environment()
    with closing(serving.listener(host, port)) as listening, closing(_ledger()) as ledger:
        _serve_over(
            ledger,
            listening,
            f"http://{f'[{host}]' if ':' in host else host}:{port}",
            ray=ray,
            max_sweeps=max_sweeps,
            limits=limits,
            links=links,
            needs_token=not no_auth,
        )
    # All is closed. The interpreter would take seconds to clear Ray's client away.
    sys.stderr.flush()
    os._exit(0)


def _serve_over(
    ledger: "Ledger",
    listening: "socket",
    here: str,
    *,
    ray: str,
    max_sweeps: int,
    limits: "Limits",
    links: "tuple[Link, ...]",
    needs_token: bool,
) -> None:
    """Answer callers, and have the queue looked after meanwhile, until somebody ends it.

    Args:
        ledger: The open ledger.
        listening: Where callers are heard.
        here: The same for people.
        ray: As for ``serve``.
        max_sweeps: As for ``serve``.
        limits: What callers may ask for.
        links: Other places that the pages link to.
        needs_token: Whether a token is asked for.
    """
    from service.api import serving
    from service.api.app import create_app
    from service.api.metrics import Metrics
    from service.api.readiness import readiness
    from service.dispatch.jobs import RayJobs

    home, jobs, metrics = home_here(), RayJobs(ray), Metrics()
    reconciler = serving.CountedReconciler(
        ledger, jobs, max_sweeps=max_sweeps, passed=metrics.reconciled
    )
    app = create_app(
        ledger,
        home,
        jobs=jobs,
        wake=reconciler.wake,
        limits=limits,
        needs_token=needs_token,
        metrics=metrics,
        links=links,
    )
    say(f"monosweep at {here} (Ctrl-C ends it)")
    serving.tell_what_is_missing(partial(readiness, ledger, home, jobs))
    with reconciler:
        serving.serve(app, listening, reconciler)


def _ledger() -> "Ledger":
    """The home's ledger, made if it is not there."""
    from service.ledger import Ledger
    from service.remains import refuse_remains

    home = home_here()
    return Ledger(home.ledger_url, on_missing=partial(refuse_remains, home))


@token.command("create")
def create_token(
    name: Annotated[str, typer.Option(help="Who it is for: a simple word.")],
    role: Annotated[str, typer.Option(help="viewer, submitter or admin.")],
) -> None:
    """Make a token, and print it alone: it is kept nowhere, and shown never again."""
    from service.ledger import audit, tokens

    if not is_simple_word(name):
        raise UserError(
            f"a token's name must be {SIMPLE_WORD}, found {name!r}. Give another: --name"
        )
    known = next((each for each in tokens.ROLES if each == role), None)
    if known is None:
        raise UserError(
            f"--role must be one of {', '.join(tokens.ROLES)}, found {role!r}. Give one of these."
        )
    with closing(_ledger()) as ledger:
        deed = audit.deed_of_command(f"token create {name}")
        print(tokens.create(ledger.engine, name, known, deed))


@token.command("revoke")
def revoke_token(name: Annotated[str, typer.Argument(metavar="NAME", help="Whose.")]) -> None:
    """Let a token be good no more, from the next call on."""
    from service.ledger import audit, tokens

    with closing(ledger_here()) as ledger:
        tokens.revoke(ledger.engine, name, audit.deed_of_command(f"token revoke {name}"))
    say(f"Revoked the token {name}.")


@token.command("list")
def list_tokens(as_json: JsonOption = False) -> None:
    """The tokens that were made; never the tokens themselves."""
    from service.ledger import tokens

    with closing(ledger_here()) as ledger:
        known = tokens.known(ledger.engine)
    if as_json:
        print_json([vars(one) for one in known])
        return
    table = Table("token", "role", "created", "revoked")
    for one in known:
        table.add_row(one.name, one.role, _day(one.created_at), _day(one.revoked_at))
    out.print(table)


def _day(at: float | None) -> str:
    return "-" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
