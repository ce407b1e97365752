"""The command that opens pages in a browser: MLflow's, and Optuna's dashboard."""

import os
import socket
import subprocess
import sys
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.terminal import err, home_here, out, say
from service.errors import UserError
from service.home import without_password

if TYPE_CHECKING:
    from service.home import Home

# As many sweeps as a terminal shows at once.
_MAX_LISTED = 20


def ui(
    port: Annotated[
        int, typer.Option(min=1, max=65534, help="Where MLflow listens; the dashboard: one above.")
    ] = 5000,
) -> None:
    """Open MLflow's pages on this home's runs, and Optuna's dashboard if it is installed.

    Only this machine can reach them.
    """
    from service import dashboard

    home = home_here()
    has_ledger = _has_ledger(home)
    if home.tracking_uri.startswith(("http:", "https:")):
        out.print(f"MLflow is at {without_password(home.tracking_uri)}", markup=False)
        return
    if home.mlflow_db is not None and not home.mlflow_db.exists():
        raise UserError(
            f"there must be runs to look at, found none ({home.mlflow_db}). "
            "Make some with: monosweep run quickstart"
        )
    _check_is_free(port, "MLflow's pages")
    if has_ledger and dashboard.is_installed():
        _check_is_free(port + 1, "Optuna's dashboard, one above --port")
        _open_dashboard(home, port + 1)
        err.print(f"Optuna's dashboard at http://127.0.0.1:{port + 1}, to look at only")
    _become_mlflow(home, port)


def _has_ledger(home: "Home") -> bool:
    """Whether the dashboard would find anything, and make nothing."""
    path = home.ledger_url.removeprefix("sqlite:///")
    return path == home.ledger_url or os.path.exists(path)  # noqa: PTH110 - a URL, or a path


def _check_is_free(port: int, whose: str) -> None:
    with socket.socket() as listener:
        if listener.connect_ex(("127.0.0.1", port)) == 0:
            raise UserError(
                f"port {port} must be free for {whose}, found something listening on it. Take "
                "another: --port"
            )


def _open_dashboard(home: "Home", port: int) -> None:
    """Start it beside this process; it ends when the pipe to it is closed by this one's end."""
    child = subprocess.Popen(  # noqa: S603 - our own interpreter, and a number
        [sys.executable, "-m", "service.dashboard", str(port)],
        stdin=subprocess.PIPE,
        env={**os.environ, "MONOSWEEP_LEDGER_URL": home.ledger_url},
        # Ctrl-C is for MLflow; this one would tell of it by a traceback.
        start_new_session=True,
    )
    assert child.stdin is not None
    # MLflow takes this process over, and the pipe with it.
    os.set_inheritable(child.stdin.fileno(), True)


def _become_mlflow(home: "Home", port: int) -> None:
    # By the environment, not the command line, which every user of the machine can read.
    environment = {
        # Its helper processes run jobs that nothing here asks for.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **os.environ,
        # Last: the links that are told here are of this home, whatever else a user serves.
        "MLFLOW_BACKEND_STORE_URI": home.tracking_uri,
    }
    if home.artifacts is not None:
        environment["MLFLOW_DEFAULT_ARTIFACT_ROOT"] = home.artifacts.as_uri()
    here = f"http://127.0.0.1:{port}"
    err.print(f"MLflow answers in some seconds at {here} (Ctrl-C ends it)")
    for sweep, place in _entrances(home).items():
        say(f"  {sweep}: {here}/{place}")
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell, and our own interpreter


def _entrances(home: "Home") -> dict[str, str]:
    """Where MLflow shows the newest sweeps, whose pages are made quick if the database is ours."""
    from service.tracking import analyze_if_free, entrances

    if home.mlflow_db is not None:
        analyze_if_free(home.tracking_uri)
    return dict(islice(entrances(home.tracking_uri).items(), _MAX_LISTED))
