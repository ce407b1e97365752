"""The commands that have a sweep trained here or on a cluster: run, resume."""

from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.bounds import check_num_trials
from service.commands.terminal import (
    AddressOption,
    NameArgument,
    ServerOption,
    SpecArgument,
    err,
    home_here,
    ledger_here,
    place,
    say,
    server_at,
    show_verdict,
)
from service.errors import UserError
from service.stage_view import stage_in_words

if TYPE_CHECKING:
    from service.client import Server
    from service.spec import Spec

_FINISHED = "The sweep {} is finished: its verdict again. To extend it: --num-trials N"


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


def resume(
    context: typer.Context,
    name: NameArgument,
    *,
    num_trials: Annotated[
        int | None, typer.Option(min=1, help="A new, larger number of search trials.")
    ] = None,
    address: AddressOption = None,
    accept_changes: Annotated[
        bool, typer.Option(help="Go on although versions or the storage have changed.")
    ] = False,
    server: ServerOption = None,
) -> None:
    """Go on with a sweep after any interruption, or extend a finished one.

    A server does so by itself, on its own cluster: the command does not wait for it.
    """
    # Whoever names a cluster drives the sweep from here, whichever server they use otherwise: so
    # does the driver that a server starts.
    source = context.get_parameter_source("server")
    is_named = source is not None and source.name == "COMMANDLINE"
    if server and (is_named or address is None):
        _check_is_left_to_the_server({"--address": address, "--accept-changes": accept_changes})
        _resume_there(server_at(server), name, num_trials)
        return
    from service import sweep
    from service.outages import resumable
    from service.recorded import spec_of

    with resumable(name), closing(ledger_here(bring_up_to_date=True)) as ledger:
        record = ledger.sweep(name)
    if record.state == "finished" and num_trials in (None, record.num_trials):
        say(_FINISHED.format(name))
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


def _check_is_left_to_the_server(asked: dict[str, Any]) -> None:
    """Make sure that nothing is asked for which only who drives a sweep from here decides.

    Raises:
        UserError: If there is.
    """
    found = [option for option, value in asked.items() if value]
    if found:
        raise UserError(
            f"how a server drives a sweep must be left to it, found {' and '.join(found)}. Leave "
            "that out; or drive it from here with the server's own ledger, without --server and "
            "MONOSWEEP_SERVER."
        )


def _resume_there(there: "Server", name: str, num_trials: int | None) -> None:
    # A server would say it in the words of its own interface.
    check_num_trials(num_trials)
    before = there.status(name)
    if before["state"] == "finished" and num_trials in (None, before["num_trials"]):
        say(_FINISHED.format(name))
        show_verdict(there.answer(name).verdict, there)
        return
    found = there.resume(name, num_trials)
    say(
        f"The server goes on with the sweep {name} ({stage_in_words(found)}). "
        f"Follow it with: monosweep watch {name}{there.again}"
    )


def _to_the_verdict(spec: "Spec", num_trials: int, work: Callable[..., dict[str, Any]]) -> None:
    """Do the work under a progress view, then print the verdict."""
    from service.running import watched

    verdict = watched(spec, num_trials, work, err)
    show_verdict(verdict, place(None))
