"""A Ray cluster on hosts of their own: a head, and nodes that join it, leave it and return."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from nodes import OBJECT_STORE_BYTES, WATCHFUL
from shell import wait_until
from two_hosts import Command, Host

PORT = 6379
# Asked on the head, which alone need not be reached through anything.
NODES = """\
import json, logging, ray
ray.init("{address}", logging_level=logging.CRITICAL, log_to_driver=False)
print(json.dumps([node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]]))
"""


class RayOnHosts:
    """A cluster whose head is on one host; it lets in who has its token.

    Args:
        head: Where its head is started.
        num_cpus: Cohorts that the head takes itself.
        variables: What the environment of everything on it says beside this machine's own.
        dashboard: Whether it has one, with the jobs' interface.
    """

    def __init__(
        self,
        head: Host,
        num_cpus: int = 1,
        variables: Mapping[str, str] | None = None,
        *,
        dashboard: bool = False,
    ) -> None:
        # Bare of what a developer's own shell may point elsewhere.
        elsewhere = ("MONOSWEEP_", "MLFLOW_", "RAY_", "AWS_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(elsewhere)}
        self.environment = {
            **kept,
            **WATCHFUL,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            # What would be said to people at a terminal.
            "RAY_DISABLE_IMPORT_WARNING": "1",
            **(variables or {}),
        }
        self.address = f"{head.address}:{PORT}"
        self.head = head
        self._at_head = self._start(
            head,
            num_cpus,
            *("--head", f"--port={PORT}", f"--include-dashboard={str(dashboard).lower()}"),
            f"--dashboard-host={head.address}",
        )

    def join(self, host: Host, num_cpus: int = 1) -> Command:
        """Start a node on a host; it ends when the head takes it for dead."""
        return self._start(host, num_cpus, f"--address={self.address}")

    def monosweep(self, host: Host, *words: str, **variables: str) -> Command:
        """Start ``monosweep WORDS`` on a host, which has a node."""
        return host.start(
            *(sys.executable, "-m", "service", *words),
            environment={**self.environment, **variables},
        )

    def run(self, host: Host, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``monosweep WORDS`` on a host, which has a node, to its end."""
        return host.run(*(sys.executable, "-m", "service", *words), environment=self.environment)

    def nodes(self) -> list[str]:
        """The names of the hosts whose nodes are alive; asked on the head, in seconds."""
        done = self.head.run(
            *(sys.executable, "-c", NODES.format(address=self.address)),
            environment=self.environment,
        )
        assert done.returncode == 0, f"{done.stderr}\n{self._at_head.said()}"
        found: list[str] = json.loads(done.stdout.splitlines()[-1])
        return sorted(found)

    def _start(self, host: Host, num_cpus: int, *words: str) -> Command:
        command = host.start(
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *words),
            *(f"--num-cpus={num_cpus}", f"--node-ip-address={host.address}"),
            f"--object-store-memory={OBJECT_STORE_BYTES}",
            environment=self.environment,
        )
        wait_until(
            lambda: "runtime started" in command.said() or command.process.poll() is not None
        )
        assert command.process.poll() is None, command.said()
        return command


def session_folder(host: Host) -> Path:
    """Where Ray's logs on a host lie, as they are seen from outside."""
    return host.tmp / "ray" / "session_latest"
