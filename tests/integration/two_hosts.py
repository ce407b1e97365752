"""Hosts on a network of their own, on this machine: to be cut off, brought back and killed.

Each is a network namespace of Linux with an address, a host name and a ``/tmp`` of its own; it
shares processors and all other files with this machine. A bridge joins them. Our own processes
stand on the same network, at ``outside``, as somebody's laptop does. Needs root and iproute2; see
``why_not``.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

import psutil
from loopback import Place

PROJECT = Path(__file__).parents[2]
# What a command needs of a ``/tmp`` that its own one covers.
NEEDED = (PROJECT, Path(sys.prefix), Path(sys.base_prefix))
END_S = 20.0

# Arguments: the host's name, its /tmp, then PLACE COVER of what is needed of the covered one, --,
# and the command.
ENTER = """\
hostname "$1"; tmp=$2; shift 2
while [ "$1" != -- ]; do mkdir -p "$2"; mount --bind "$1" "$2"; shift 2; done
shift; mount --rbind "$tmp" /tmp; cd /tmp; exec "$@"
"""


def why_not() -> str | None:
    """Why there can be no hosts here; None where there can."""
    if os.geteuid() != 0:
        return "hosts of their own need root"
    missing = [word for word in ("ip", "unshare", "mount", "hostname") if not shutil.which(word)]
    if missing:
        return f"hosts of their own need iproute2 and util-linux, found no {', '.join(missing)}"
    name = f"ms{os.getpid()}-try"
    if subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True).returncode:
        return "hosts of their own need network namespaces, which are not allowed here"
    bridge = ["ip", "-n", name, "link", "add", "bridge", "type", "bridge"]
    has_bridges = subprocess.run(bridge, check=False, capture_output=True).returncode == 0
    _ip("netns", "delete", name)
    return None if has_bridges else "hosts of their own need bridges, which this kernel has not"


class Host:
    """One host. Made by ``Hosts``.

    Attributes:
        name: What it calls itself.
        address: Its own on the hosts' network.
        tmp: Its ``/tmp``, as it is seen from outside.
    """

    def __init__(self, namespace: str, name: str, address: str, tmp: Path, switch: str) -> None:
        self.name = name
        self.address = address
        self.tmp = tmp
        self._namespace = namespace
        self._switch = switch
        self._logs = count(1)

    @property
    def place(self) -> Place:
        """Where a server of the tests can listen; it sees this machine's own ``/tmp``."""
        return Place(self.address, ("ip", "netns", "exec", self._namespace))

    def words(self, *command: str) -> list[str]:
        """The command line, to be run as root, of a command on this host, in its ``/tmp``."""
        below = [path for path in NEEDED if path.is_relative_to("/tmp")]
        covers = [(str(path), str(self.tmp / path.relative_to("/tmp"))) for path in below]
        return [
            *self.place.words,
            *("unshare", "--mount", "--uts", "--propagation", "private"),
            *("sh", "-e", "-c", ENTER, "enter", self.name, str(self.tmp)),
            *(word for cover in covers for word in cover),
            *("--", *command),
        ]

    def start(self, *command: str, environment: Mapping[str, str]) -> "Command":
        """Start a command that goes on by itself."""
        log = self.tmp / f"command-{next(self._logs)}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                self.words(*command),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Command(process, log)

    def run(
        self, *command: str, environment: Mapping[str, str], seconds: float = 300.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.words(*command),
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def cut(self) -> None:
        """Let nothing reach it, nor leave it, as when a cable is pulled."""
        _ip("-n", self._switch, "link", "set", _port(self.name), "down")

    def heal(self) -> None:
        """Plug the cable in again."""
        _ip("-n", self._switch, "link", "set", _port(self.name), "up")

    def processes(self) -> list[psutil.Process]:
        """All that runs on it."""
        found = []
        for pid in _ip("netns", "pids", self._namespace).split():
            with suppress(psutil.NoSuchProcess):
                found.append(psutil.Process(int(pid)))
        return found

    def kill(self) -> None:
        """End all that runs on it at once, as when the power fails."""
        processes = self.processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, END_S)


class Command:
    """A command that was started on a host."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self._log = log

    def said(self) -> str:
        """All that it said so far."""
        return self._log.read_text(errors="replace")

    def stop(self, signum: int = signal.SIGTERM, seconds: float = END_S) -> int:
        """Send its group a signal and wait for its end; the exit code."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signum)
        return self.process.wait(seconds)


class Hosts:
    """Hosts by name, joined by a bridge; ended by ``close`` with all that runs on them.

    Attributes:
        outside: This machine's own address on their network.

    Args:
        names: What they call themselves; at most 12 characters.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="monosweep-hosts-", dir="/var/tmp"))
        mark = f"ms{os.getpid()}"
        self._switch = f"{mark}-switch"
        self._link = mark
        network = _free_network()
        self.outside = f"{network}.254"
        self._hosts: dict[str, Host] = {}
        _ip("netns", "add", self._switch)
        _ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self._switch, "link", "set", "bridge", "up")
        self._plug("outside", self._link, str(os.getpid()))
        _ip("addr", "add", f"{self.outside}/24", "dev", self._link)
        _ip("link", "set", self._link, "up")
        for number, name in enumerate(names, start=1):
            self._hosts[name] = self._new(f"{mark}-{name}", name, f"{network}.{number}")

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    def close(self) -> None:
        """End all of it."""
        for host in self._hosts.values():
            host.kill()
            _ip("netns", "delete", host.place.words[-1])
        _ip("netns", "delete", self._switch)
        shutil.rmtree(self._folder)

    def _new(self, namespace: str, name: str, address: str) -> Host:
        _ip("netns", "add", namespace)
        self._plug(name, "eth0", namespace)
        _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            _ip("-n", namespace, "link", "set", link, "up")
        tmp = self._folder / name
        tmp.mkdir()
        # As any /tmp is: PostgreSQL and others that are not root write there.
        tmp.chmod(0o1777)
        return Host(namespace, name, address, tmp, self._switch)

    def _plug(self, name: str, link: str, namespace: str) -> None:
        """Lay a cable from the bridge to a namespace, named or that of a process."""
        words = ("type", "veth", "peer", "name", link, "netns", namespace)
        _ip("-n", self._switch, "link", "add", _port(name), *words)
        _ip("-n", self._switch, "link", "set", _port(name), "master", "bridge", "up")


def _port(name: str) -> str:
    return f"to-{name}"


def _free_network() -> str:
    """The beginning of the addresses of a network that this machine does not know."""
    known = {one.address for each in psutil.net_if_addrs().values() for one in each}
    first = os.getpid()
    for number in range(first, first + 250):
        network = f"10.77.{number % 250 + 1}"
        if not any(address.startswith(f"{network}.") for address in known):
            return network
    raise RuntimeError("all networks 10.77.x.0 are taken on this machine")


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
    return done.stdout
