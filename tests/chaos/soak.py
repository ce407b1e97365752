"""Have a server work off small sweeps for 20 minutes, and see that nothing of it grows.

Run by ``make soak``. A real server on PostgreSQL with a Ray head beside it, both of which live as
long as the soak, gets one small sweep after another over HTTP; each is followed to its verdict and
then deleted. Once a minute, between two sweeps, the gauges are read: memory, threads, open files
and connections of the server and of each of Ray's own processes, connections of the database, files
in the home. After the first quarter, which warms up, the last third is compared with the first
(``gauges.LIMITS``). After each sweep no actor, job or driver may be left. Prints a table and writes
``build/soak.json``; ends with 1 if anything grew or was left.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path += [str(Path(__file__).parents[1] / name) for name in ("integration", "servers")]

import httpx
import psutil
from gauges import Growth, Reading, at_work, growths, of_home, of_processes
from loopback import HOST, free_port, is_listening
from postgres import Postgres
from ray_head import CLIENT, TOKEN, RayHead
from shell import FREE, TINY, Shell, wait_until
from sqlalchemy import create_engine, text

MINUTES = 20.0
READING_S = 60.0
WARM_UP = 0.25
PATIENCE_S = 600.0
# A driver that has written its verdict still brings it to MLflow; its job ends after that.
LEAVES_S = 120.0
RAYS_OWN = {
    # Its log monitor holds the logs of ended jobs open, 200 by default: here few, so that they are
    # as many as there may be before the warm-up is over.
    "RAY_LOG_MONITOR_MAX_OPEN_FILES": "20",
    # Its agent keeps the metrics of every worker that ever was, a third of a megabyte a sweep.
    "RAY_enable_metrics_collection": "0",
}
OUTPUT = Path("build/soak.json")
SPEC = TINY.replace("SPACE", FREE).replace("num_steps: 512", "num_steps: 64")


@dataclass
class Soaked:
    """What was seen.

    Attributes:
        readings: The gauges, in their order.
        left: What was still there after a sweep, with the sweep's name.
        num_sweeps: Sweeps that came to their verdict.
    """

    readings: list[Reading] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    num_sweeps: int = 0


class Soak:
    """A server, its head and its database, and somebody who has sweeps run there.

    Args:
        shell: Of the server's machine.
        url: The server's.
        token: Of somebody who may delete.
        server: Its process.
        head: Ray's.
    """

    def __init__(
        self, shell: Shell, url: str, token: str, server: psutil.Process, head: RayHead
    ) -> None:
        self._home = shell.home
        self._ledger_url = shell.variables["MONOSWEEP_LEDGER_URL"]
        self._server, self._head = server, head
        self._http = httpx.Client(
            base_url=f"{url}/v1/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=PATIENCE_S,
            trust_env=False,
        )

    def run(self, seconds: float, reading_s: float = READING_S) -> Soaked:
        """Have sweeps run one after another for so long, one at least."""
        soaked, began = Soaked(), time.monotonic()
        due = 0.0
        with self._http:
            while (at_s := time.monotonic() - began) < seconds or not soaked.num_sweeps:
                name = f"soak-{soaked.num_sweeps}"
                self._sweep(name)
                soaked.num_sweeps += 1
                soaked.left += [f"{name}: {one}" for one in self._left_after_a_while()]
                self._asked("DELETE", f"sweeps/{name}", params={"confirm": name})
                if at_s >= due:
                    due = max(due + reading_s, at_s)
                    now_s = time.monotonic() - began
                    soaked.readings.append(Reading(now_s, soaked.num_sweeps, self._gauges()))
                    print(f"{now_s:6.0f} s, {soaked.num_sweeps} sweeps", file=sys.stderr)
        return soaked

    def _sweep(self, name: str) -> None:
        """Submit one, and follow it to its verdict."""
        spec = SPEC.replace("name: tiny", f"name: {name}")
        self._asked("POST", "sweeps", json={"spec": spec}, headers={"Idempotency-Key": name})
        with self._http.stream("GET", f"sweeps/{name}/events") as stream:
            lines = iter(stream.iter_lines())
            end = next(json.loads(next(lines)[6:]) for line in lines if line == "event: end")
        assert end == {"stage": "finished"}, f"{name} ended {end}"

    def _asked(self, method: str, path: str, **options: Any) -> None:
        answer = self._http.request(method, path, **options)
        assert answer.is_success, answer.text

    def _left_after_a_while(self) -> list[str]:
        """What has not gone, long after it should."""
        until = time.monotonic() + LEAVES_S
        while found := [*at_work(self._head.process), *self._actors()]:
            if time.monotonic() > until:
                return found
            time.sleep(0.5)
        return []

    def _actors(self) -> list[str]:
        """Actors that are not dead, by Ray's own account."""
        answer = httpx.get(
            f"{self._head.address}/api/v0/actors",
            params={"filter_keys": "state", "filter_predicates": "!=", "filter_values": "DEAD"},
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=PATIENCE_S,
            trust_env=False,
        )
        answer.raise_for_status()
        found = answer.json()["data"]["result"]["result"]
        return [f"actor {one['class_name']} {one['state']}" for one in found]

    def _gauges(self) -> dict[str, float]:
        engine = create_engine(self._ledger_url)
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        with engine.connect() as connection:
            num_connections = connection.scalar(text(query)) - 1
        engine.dispose()
        return {
            **of_processes(self._server, self._head.process),
            "database connections": num_connections,
            **of_home(self._home),
        }


@contextmanager
def soaking(folder: Path) -> Iterator[Soak]:
    """Everything started, and ended in good order with the block."""
    with closing(Postgres()) as postgres:
        postgres.start()
        ledger = {"MONOSWEEP_LEDGER_URL": postgres.new_database()}
        shell = Shell(folder / "home", {**CLIENT, **ledger})
        words = ("token", "create", "--name", "soak", "--role", "admin")
        token = shell.run(*words).stdout.strip()
        port = free_port()
        with closing(RayHead({**shell.environment(), **RAYS_OWN}, num_cpus=2)) as head:
            server = shell.start("serve", "--port", str(port), "--ray", head.address)
            try:
                wait_until(lambda: is_listening(HOST, port))
                process = psutil.Process(server.process.pid)
                yield Soak(shell, f"http://{HOST}:{port}", token, process, head)
            finally:
                server.process.terminate()
                server.ends()
            # What deleted sweeps left anywhere would be found.
            shell.run("doctor")


def as_json(soaked: Soaked, grown: Sequence[Growth]) -> dict[str, Any]:
    """What is written."""
    return {
        "num_sweeps": soaked.num_sweeps,
        "left": soaked.left,
        "growths": [{**asdict(one), "is_within": one.is_within} for one in grown],
        "readings": [asdict(one) for one in soaked.readings],
    }


def show(soaked: Soaked, grown: Sequence[Growth]) -> None:
    """The table."""
    print(f"{soaked.num_sweeps} sweeps, {len(soaked.left)} things left after them")
    for line in soaked.left:
        print(f"  {line}")
    print(f"{'':32} {'first third':>12} {'last third':>12}")
    for one in grown:
        said = "" if one.is_within else "  grew"
        print(f"{one.gauge:32} {one.before:12.1f} {one.after:12.1f}{said}")


def main(arguments: Sequence[str]) -> int:
    """Soak, print, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="fewer for trying")
    options = parser.parse_args(arguments)
    seconds = options.minutes * 60
    with TemporaryDirectory(prefix="monosweep-soak-") as folder, soaking(Path(folder)) as soak:
        soaked = soak.run(seconds)
    grown = growths(soaked.readings, WARM_UP * seconds)
    show(soaked, grown)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(as_json(soaked, grown), indent=2) + "\n")
    return 1 if soaked.left or not grown or not all(one.is_within for one in grown) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
