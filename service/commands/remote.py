"""The commands that have others drive sweeps, or stop it: submit, stop, logs."""

from typing import Annotated

import typer

from service.bounds import MOST_LOG_LINES, MOST_PRIORITY
from service.commands.terminal import (
    NameArgument,
    ServerOption,
    SpecArgument,
    out,
    place,
    say,
    server_at,
)
from service.commands.watched import to_the_verdict
from service.errors import UserError

_NO_SERVER = "Name it: --server URL, or MONOSWEEP_SERVER"


def submit(
    spec: SpecArgument,
    name: Annotated[str | None, typer.Option(help="A name other than the file's.")] = None,
    priority: Annotated[
        int | None,
        typer.Option(
            min=-MOST_PRIORITY,
            max=MOST_PRIORITY,
            help="Of sweeps that wait, the highest goes first.",
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its verdict.")] = False,
    server: ServerOption = None,
) -> None:
    """Have a server run a sweep. Submitting it again makes no second one."""
    from service import stopping
    from service.spec import load_spec
    from service.stage_view import stage_in_words

    loaded = load_spec(spec)
    if name is not None:
        loaded = loaded.with_name(name)
    name = loaded.name
    if not server:
        raise UserError(
            f"a sweep must be submitted to a server, found none named. {_NO_SERVER}; or run it "
            f"from here: monosweep run {spec}"
        )
    there = server_at(server)
    stopping.part_with(
        "Interrupted before the server answered. Give the same command again: it is one sweep."
    )
    found, is_new = there.submit(loaded, priority=priority, origin=spec)
    stopping.part_with(
        f"The server goes on with {name}. See it with: monosweep status {name}{there.again}"
    )
    what = "Submitted the sweep" if is_new else "The server has the very sweep"
    say(f"{what} {name} ({stage_in_words(found)}).")
    if wait:
        to_the_verdict(there, name)
        return
    say(f"Follow it with: monosweep watch {name}{there.again}")
    out.print(name, markup=False, highlight=False)


def stop(name: NameArgument, server: ServerOption = None) -> None:
    """Have a sweep's driver leave after a checkpoint, and wait until it has."""
    from service import stopping

    there = place(server)
    stopping.part_with(
        f"The driver of {name} leaves all the same. "
        f"See it with: monosweep status {name}{there.again}"
    )
    found = there.stop(name)
    if found["state"] in ("finished", "failed"):
        say(
            f"The sweep {name} {found['state']} before it was stopped. "
            f"See it with: monosweep status {name}{there.again}"
        )
        return
    say(
        f"Stopped the sweep {name} (phase {found['phase']}). "
        f"Go on with it: monosweep resume {name}{there.again}"
    )


def logs(
    name: NameArgument,
    lines: Annotated[
        int, typer.Option(min=1, max=MOST_LOG_LINES, help="How many of the last lines.")
    ] = 200,
    server: ServerOption = None,
) -> None:
    """Print what the last driver that a server started for a sweep said."""
    if not server:
        raise UserError(
            "logs must be asked of a server, which keeps them, found none named. "
            f"{_NO_SERVER}. A driver that was started here says all at its own terminal."
        )
    text = server_at(server).logs(name, lines)
    end = "" if text.endswith("\n") else "\n"
    out.print(text, end=end, markup=False, highlight=False, soft_wrap=True)
