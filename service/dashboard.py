"""Optuna's dashboard over the ledger, to look at only, in a process that ends with its parent.

Run as ``python -m service.dashboard PORT``, the ledger's URL in ``MONOSWEEP_LEDGER_URL``: every
user of a machine can read command lines. Only where ``optuna-dashboard`` is installed.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

Environment = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environment, StartResponse], Iterable[bytes]]

_LOOKS = ("GET", "HEAD")


def is_installed() -> bool:
    """Whether there is a dashboard to show."""
    return find_spec("optuna_dashboard") is not None


def to_look_at(application: Application) -> Application:
    """The same pages without what would change anything: the dashboard can delete studies.

    Half of a sweep would be gone then, and its ledger be damaged.
    """

    def looked_at(environment: Environment, start_response: StartResponse) -> Iterable[bytes]:
        if environment["REQUEST_METHOD"] in _LOOKS:
            return application(environment, start_response)
        start_response("405 Method Not Allowed", [("Allow", ", ".join(_LOOKS))])
        return [b"The ledger can only be looked at here."]

    return looked_at


class _Quiet(WSGIRequestHandler):
    """Writes no line for every request."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named so by its base
        """Nothing."""


def _end_with_parent() -> None:
    """The parent holds the other end of standard input, and leaves it open for as long as it is."""
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Serve it on this machine only, until the parent ends."""
    from optuna_dashboard import wsgi  # noqa: PLC0415 - may not be installed

    threading.Thread(target=_end_with_parent, daemon=True).start()
    application = to_look_at(wsgi(storage=os.environ["MONOSWEEP_LEDGER_URL"]))
    with make_server("127.0.0.1", int(sys.argv[1]), application, handler_class=_Quiet) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
