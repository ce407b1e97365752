"""A server as a process: its socket, its start, and its prompt end."""

import os
import socket
import sys
from collections.abc import Callable
from threading import Thread
from types import FrameType

import uvicorn
from fastapi import FastAPI

from service.api.backing import Backing
from service.api.models import Readiness
from service.api.readiness import missing
from service.dispatch.jobs import Jobs
from service.dispatch.reconciler import Reconciler
from service.errors import UserError
from service.ledger import Ledger
from service.loopback import is_loopback

# What is being answered when the server is to end has so long.
_GRACE_S = 5


def listener(host: str, port: int) -> socket.socket:
    """A socket that listens, so that what is wrong with host or port is found before all else.

    Raises:
        UserError: If the host is not this machine's, or the port is taken.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise UserError(
            f"--host must be an address or a name of this machine, found {host!r} ({error}). "
            "Take 127.0.0.1, or 0.0.0.0 for every address it has."
        ) from error
    listening = socket.socket(family, kind)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen()
    except OSError as error:
        listening.close()
        raise UserError(
            f"--host and --port must be an address of this machine and a free port, found {host} "
            f"and {port}: {error.strerror}. Take another: --port"
        ) from error
    return listening


def check_is_loopback(host: str) -> None:
    """Make sure that nobody else's machine reaches a server that asks for no token.

    Raises:
        UserError: If one may.
    """
    if not is_loopback(host):
        raise UserError(
            f"--no-auth must come with a host that only this machine reaches, found {host}. "
            "Leave --host out, or make tokens: monosweep token create"
        )


def serve(app: FastAPI, listening: socket.socket, reconciler: Reconciler | None = None) -> None:
    """Answer until SIGTERM or Ctrl-C; open streams end at once, answers that began are ended.

    Also until the reconciler, if there is one, comes to an end by itself: sweeps would be taken
    that nobody drives.

    What a proxy says of callers' addresses and of https is believed of those that the environment
    names in ``FORWARDED_ALLOW_IPS``, by default of none: anybody on this machine could say so.
    """
    proxies = os.environ.get("FORWARDED_ALLOW_IPS", "")
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        # Nothing here upgrades; what asks for it is answered, and guarded, as any other call.
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        h11_max_incomplete_event_size=32 * 1024,
    )
    _Server(config, app.state.backing, reconciler).run([listening])


class CountedReconciler(Reconciler):
    """A reconciler that tells of each pass that came to its end."""

    def __init__(
        self, ledger: Ledger, jobs: Jobs, *, max_sweeps: int, passed: Callable[[], None]
    ) -> None:
        super().__init__(ledger, jobs, max_sweeps=max_sweeps)
        self._passed = passed

    def reconcile(self) -> None:
        """As without."""
        super().reconcile()
        self._passed()


class _Server(uvicorn.Server):
    """Tells open streams that they are to end, for which uvicorn would wait."""

    def __init__(
        self, config: uvicorn.Config, backing: Backing, reconciler: Reconciler | None
    ) -> None:
        super().__init__(config)
        self._backing = backing
        self._reconciler = reconciler

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal: it asks for the end, which is no failure; a second one does not wait."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._backing.closing.set()

    async def on_tick(self, counter: int) -> bool:
        """Whether to end: asked several times a second."""
        if self._reconciler is not None and not self._reconciler.is_at_work:
            self._backing.closing.set()
            return True
        return await super().on_tick(counter)


def tell_what_is_missing(look: Callable[[], Readiness]) -> None:
    """Say on standard error which parts do not answer, while the server does already.

    Args:
        look: Asks every part of the system, which may take seconds.
    """
    Thread(target=lambda: _tell(look()), name="telling", daemon=True).start()


def _tell(found: Readiness) -> None:
    for line in missing(found):
        print(line, file=sys.stderr, flush=True)
