"""How a server answers when many clients submit, list, show and follow at once.

Run by ``make bench-clients``. Starts a real server on loopback, on a PostgreSQL of its own and
without a cluster, so that sweeps are queued and none is driven; prints seconds and writes
``build/bench/clients.json``. Three in ten submissions are broken off before they are answered and
sent again under the same key, three in ten are sent again although they were answered; the ledger
is looked at in the end for sweeps that were lost or taken twice.
"""

import argparse
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil

sys.path += [str(Path(__file__).parents[1] / name) for name in ("integration", "servers")]
sys.path.append(str(Path(__file__).parent))

from clients import Seen, work
from entry_point import bare_environment
from loopback import HOST, STOP_S, free_port, wait_until
from postgres import Postgres
from results import row, whole, write

from service.ledger import Ledger, queue, tokens

NUM_CLIENTS = 50
SECONDS = 120.0
OUTPUT = Path("build/bench/clients.json")
# The time is what is looked for, not the limits.
LIMITS = "unfinished=1000000,unfinished_each=1000000"
# Nobody listens there: what is queued stays so.
NO_CLUSTER = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Size:
    """Of a server's process: its memory in bytes, and its threads."""

    memory: int
    threads: int

    @classmethod
    def of(cls, process: psutil.Process) -> "Size":
        """As it is now."""
        return cls(process.memory_info().rss, process.num_threads())


@contextmanager
def server(ledger_url: str, folder: Path) -> Iterator[tuple[str, psutil.Process, Path]]:
    """The URL of a real server, its process, and what it says on standard error."""
    port, log = free_port(), folder / "server.log"
    environment = {
        **bare_environment(),
        "MONOSWEEP_HOME": str(folder),
        "MONOSWEEP_LEDGER_URL": ledger_url,
        "MONOSWEEP_LIMITS": LIMITS,
    }
    words = ["serve", "--host", HOST, "--port", str(port), "--ray", NO_CLUSTER]
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", *words], env=environment, stderr=said
        )
    url = f"http://{HOST}:{port}"
    try:
        wait_until(lambda: _answers(url), process, log)
        yield url, psutil.Process(process.pid), log
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_S) == 0, log.read_text()[-2000:]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v1/health", trust_env=False).is_success
    except httpx.TransportError:
        return False


def measure(ledger_url: str, folder: Path, num_clients: int, seconds: float) -> dict[str, Any]:
    """Have so many clients at work for so long.

    Args:
        ledger_url: An empty database.
        folder: The server's home, and its log.
        num_clients: How many, each with a token of its own.
        seconds: How long each begins anew; what it has begun it ends.
    """
    with closing(Ledger(ledger_url)) as ledger:
        shown = [
            tokens.create(ledger.engine, f"client-{number}", "submitter")
            for number in range(num_clients)
        ]
        with server(ledger_url, folder) as (url, process, log):
            # What is read and imported once is no growth.
            warm = work(url, shown[:1], 0.5, prefix="warm")
            before = Size.of(process)
            began = time.monotonic()
            seen = work(url, shown, seconds)
            took_s = time.monotonic() - began
            after = Size.of(process)
        return {
            **_checked(seen, warm, ledger),
            "num_clients": num_clients,
            "seconds": took_s,
            "latency_s": {what: _percentiles(found) for what, found in seen.seconds.items()},
            "event_delay_s": _percentiles(seen.delays_s),
            "before": vars(before),
            "after": vars(after),
            "said": log.read_text(),
            "shown": shown,
        }


def _checked(seen: Seen, warm: Seen, ledger: Ledger) -> dict[str, Any]:
    """What was answered, beside what the ledger holds."""
    entries = queue.entries(ledger.engine)
    kept = Counter(entry.idempotency_key for entry in entries)
    sweeps = {entry.idempotency_key: entry.sweep for entry in entries}
    lost = [key for key, name in seen.told.items() if sweeps.get(key) != name]
    twice = [key for key, num in kept.items() if num > 1]
    twice += [key for key, num in seen.news.items() if num > 1]
    unasked = sweeps.keys() - seen.told.keys() - warm.told.keys()
    return {
        "num_sweeps": len(seen.told),
        "num_repeated": seen.num_repeated,
        "num_broken_off": seen.num_broken_off,
        "lost": lost,
        "twice": sorted({*twice, *unasked}),
        "statuses": {f"{what} {status}": num for (what, status), num in seen.statuses.items()},
        "server_errors": sum(num for (_, status), num in seen.statuses.items() if status >= 500),
    }


def _percentiles(found: Sequence[float]) -> dict[str, float]:
    """Median, and what 95 and 99 in a hundred are below, in seconds."""
    if len(found) < 2:
        return {}
    cuts = statistics.quantiles(found, n=100, method="inclusive")
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98]}


def show(found: dict[str, Any]) -> None:
    """The table."""
    print(
        f"{found['num_clients']} clients for {found['seconds']:.0f} s: {found['num_sweeps']} "
        f"sweeps, {found['num_repeated']} sent again, {found['num_broken_off']} broken off; "
        f"{len(found['lost'])} lost, {len(found['twice'])} twice, {found['server_errors']} server "
        "errors"
    )
    print(f"{'':24} {'p50':>8} {'p95':>8} {'p99':>8}")
    lines = {**found["latency_s"], "event after a stop": found["event_delay_s"]}
    for what, shares in lines.items():
        print(f"{what:24} " + " ".join(f"{1000 * share:5.0f} ms" for share in shares.values()))
    for what, unit, scale in (("memory", "MB", 1e6), ("threads", "", 1)):
        before, after = found["before"][what] / scale, found["after"][what] / scale
        print(f"{what:24} {before:.0f} before, {after:.0f} after {unit}".rstrip())


def main(arguments: Sequence[str]) -> int:
    """Measure, print, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=NUM_CLIENTS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="fewer for trying")
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder, closing(Postgres()) as postgres:
        postgres.start()
        url = postgres.new_database()
        found = measure(url, Path(folder), options.clients, options.seconds)
    show(found)
    rows = [
        row(f"{found['num_clients']} clients: {what} {share}", seconds)
        for what, shares in {**found["latency_s"], "event": found["event_delay_s"]}.items()
        for share, seconds in shares.items()
    ]
    told = ("num_sweeps", "num_repeated", "num_broken_off", "lost", "twice", "statuses")
    written = whole(
        rows,
        ("fastapi", "uvicorn", "sqlalchemy"),
        memory={"before": found["before"], "after": found["after"]},
        breakdown={name: found[name] for name in (*told, "seconds")},
    )
    write(OUTPUT, written)
    return 1 if found["lost"] or found["twice"] or found["server_errors"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
