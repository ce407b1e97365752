"""Running a sweep under somebody's eyes: at a terminal, or from a notebook."""

from collections.abc import Callable
from functools import partial
from typing import Any

from rich.console import Console

from service import stopping, sweep
from service.errors import SweepExistsError
from service.home import Home
from service.opened import OpenSweep, open_sweep
from service.progress import ProgressView
from service.spec import Spec, load_spec
from service.verdict import Json


def watched(spec: Spec, num_trials: int, work: Callable[..., Json], console: Console) -> Json:
    """Do a sweep's work under a progress view, and let signals ask for its end.

    Args:
        spec: The sweep file.
        num_trials: The search's budget.
        work: Takes ``watchers``, and brings the verdict.
        console: Where to draw.
    """
    with (
        ProgressView(spec, num_trials, console) as view,
        stopping.listening(spec.name, view.acknowledge),
    ):
        return work(watchers=[view])


def run(
    spec: Spec | str,
    *,
    name: str | None = None,
    home: Home | None = None,
    address: str | None = None,
) -> OpenSweep:
    """A sweep from its file to its verdict, from a notebook or a script.

    Unlike ``monosweep run`` it goes on with a sweep of the same name and file, or opens it if it is
    finished: a cell or a script is run again and again.

    Args:
        spec: A sweep file's path, a packaged sweep's name, or what ``load_spec`` brought.
        name: A name other than the file's.
        home: Where everything is written; by default what the environment names.
        address: A Ray cluster, or None to run on this machine.

    Returns:
        The sweep as it stands then.

    Raises:
        UserError: If the file is none, or a sweep of that name has another one.
        SweepFailedError: If the baseline cannot be trained.
        InterruptedSweepError: If it was asked to stop; calling this again goes on.
    """
    home = home or Home.from_environment()
    loaded = load_spec(spec) if isinstance(spec, str) else spec
    if name is not None:
        loaded = loaded.with_name(name)
    work: Callable[..., Any] = partial(_begun_or_gone_on_with, loaded, home, address)
    watched(loaded, loaded.search.num_trials, work, Console(stderr=True))
    return open_sweep(loaded.name, home)


def _begun_or_gone_on_with(spec: Spec, home: Home, address: str | None, **watching: Any) -> Json:
    try:
        return sweep.run(spec, home, address=address, **watching)
    except SweepExistsError:
        if not sweep.is_of(spec, home):
            raise
        return sweep.resume(spec.name, home, address=address, **watching)
