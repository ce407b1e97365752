"""A server on one of two hosts with addresses of their own, and what can happen to its sweeps."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from loopback import is_listening
from mlflow_shows import check_mlflow
from object_store import VENV, ObjectStore
from postgres import Postgres
from ray_on_hosts import RayOnHosts
from servers_of_a_sweep import Servers, serving
from shell import Shell, Started, numbers, wait_until, write_spec
from sqlalchemy import text
from two_hosts import Command, Hosts, why_not

from service.ledger import RECORDED, Attempt, Ledger
from service.storage import Storage

pytestmark = pytest.mark.long

# Proposals that do not depend on what ended before: those of any number of workers are the same.
# Enough cohorts that one host does not end them before it is noticed that the other is gone.
SPEC = {
    "num_steps: 512": "num_steps: 8192",
    "learning_rate: 0.02": "learning_rate: 0.005",
    "num_trials: 4": "num_trials: 16, sampler: random",
    "max_concurrent: 1": "max_concurrent: 2, checkpoint_s: 0.25",
}
WATCH_S = 600.0
PORT = 8700
# Ray's own choice.
DASHBOARD_PORT = 8265


@dataclass(frozen=True)
class Cluster:
    """Hosts ``host-a``, with the head, and ``host-b``, and the servers that both reach."""

    hosts: Hosts
    servers: Servers
    ray: RayOnHosts
    node_of_b: Command


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shell, Started]:
    """The same sweep on this machine alone, begun while the cluster starts."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shell = Shell(folder / "home")
    return shell, shell.start("run", str(write_spec(folder, **SPEC)))


@pytest.fixture(scope="module")
def cluster(undisturbed: object) -> Iterator[Cluster]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    if not ObjectStore.is_installed():
        pytest.skip(f"OpenStack Swift is not installed in {VENV}: make test")
    with closing(Hosts(["host-a", "host-b", "servers"])) as hosts:
        place = hosts["servers"].place
        with closing(Postgres(place)) as postgres, closing(ObjectStore(place)) as object_store:
            postgres.start()
            object_store.start()
            with serving(postgres, object_store, place) as servers:
                ray = RayOnHosts(hosts["host-a"], variables=servers.variables, dashboard=True)
                yield Cluster(hosts, servers, ray, ray.join(hosts["host-b"]))


class Watched:
    """A submitted sweep, seen from outside."""

    def __init__(self, servers: Servers) -> None:
        self._storage = Storage(servers.variables["MONOSWEEP_STORAGE"])
        self.ledger = Ledger(servers.variables["MONOSWEEP_LEDGER_URL"], create=False)

    def attempts(self, host: str) -> list[Attempt]:
        """Those that began on a host, oldest first."""
        found = [
            one
            for one in self.ledger.attempts("tiny")
            if (one.worker or "").partition(" ")[0] == host
        ]
        return sorted(found, key=lambda one: one.started_at)

    def kept(self, attempt: Attempt) -> list[int]:
        """The steps of the checkpoints that it has left and nobody removed."""
        stems = [
            name.partition(".")[0].split("-")
            for name in self._storage.names(f"cohorts/tiny/{attempt.cohort_id}")
        ]
        return sorted(int(step) for number, step in stems if int(number) == attempt.number)

    def driver(self) -> int:
        """The process that holds its lease; all hosts share this machine's numbers."""
        with self.ledger.engine.connect() as connection:
            return int(connection.scalar(text("SELECT pid FROM monosweep_leases")) or 0)

    def until(self, holds: Callable[[], object]) -> None:
        """Wait for it, as long as the sweep has no end."""
        wait_until(lambda: holds() or self._is_over(), WATCH_S)
        assert holds(), self.ledger.sweep("tiny").state

    def ends(self) -> None:
        """Wait for its end."""
        wait_until(self._is_over, WATCH_S)
        assert self.ledger.sweep("tiny").state == "finished"

    def _is_over(self) -> bool:
        return self.ledger.sweep("tiny").state in ("finished", "failed")


def doctor(cluster: Cluster, *words: str, code: int) -> str:
    """What the doctor says of the cluster on its head's host."""
    done = cluster.ray.run(
        cluster.hosts["host-a"], "doctor", "--cluster", "--address", cluster.ray.address, *words
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.timeout(1200)
def test_a_cluster_in_good_order_is_well(cluster: Cluster) -> None:
    report = json.loads(doctor(cluster, "--json", code=0))
    assert [one["message"] for one in report["findings"] if not one["is_well"]] == []
    assert [node["host"] for node in report["nodes"]] == ["host-a", "host-b"]
    assert [node["is_head"] for node in report["nodes"]] == [True, False]
    assert {node["num_cpus"] for node in report["nodes"]} == {1.0}
    assert {node["asks_for_a_token"] for node in report["nodes"]} == {True}
    said = {one["part"]: one["message"] for one in report["findings"]}
    assert said["storage"].startswith("2 nodes and this machine write there")
    assert "the ledger's database" in said["clocks"]
    a, b = (f"{name} ({cluster.hosts[name].address})" for name in ("host-a", "host-b"))
    costs = {(cost["what"], cost["from"]): cost["milliseconds"] for cost in report["costs"]}
    for what in ("empty task", "storage: write 8 MiB", "storage: read 8 MiB"):
        assert costs[what, a] > 0.0
        assert costs[what, b] > 0.0
    assert {where for what, where in costs if what == "ledger: question"} == {"this machine", a}
    assert costs["MLflow: question", "this machine"] > 0.0


# Run on the head's host: what is asked there takes longer than is waited for.
LATE = """\
import json, sys, time
from service import cluster_nodes
def late(seconds):
    time.sleep(seconds)
    return seconds
with cluster_nodes.looking(sys.argv[1]):
    head, *_ = cluster_nodes.nodes()
    cluster_nodes.ask({head: 0.0}, late, 100.0)
    answers = [cluster_nodes.ask({head: seconds}, late, 5.0)[head] for seconds in (0.5, 60.0)]
print(head.host, answers)
"""


@pytest.mark.timeout(1200)
def test_a_node_that_does_not_answer_is_waited_for_so_long_and_no_longer(cluster: Cluster) -> None:
    done = cluster.hosts["host-a"].run(
        *(sys.executable, "-c", LATE, cluster.ray.address), environment=cluster.ray.environment
    )
    assert done.returncode == 0, done.stderr
    said = "host-a [0.5, NoAnswer(why='nothing was heard of it for 5 s')]"
    assert done.stdout.splitlines()[-1] == said


@contextmanager
def held(attempt: Attempt) -> Iterator[None]:
    """Stand the worker of an attempt still, as when its machine swaps.

    A host takes as long to return on a quick machine as on a slow one: the sweep is not to end
    meanwhile.
    """
    assert attempt.worker is not None
    _, pid = attempt.worker.split()
    worker = psutil.Process(int(pid))
    worker.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            worker.resume()


class Serving:
    """``monosweep serve`` on the head's host, and somebody's laptop that may submit to it."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._host = cluster.hosts["host-a"]
        made = cluster.ray.run(
            self._host, "token", "create", "--name", "ada", "--role", "submitter"
        )
        assert made.returncode == 0, made.stderr
        # No secret of the servers is on it.
        self.laptop = Shell(
            folder / "home",
            {
                "MONOSWEEP_SERVER": f"http://{self._host.address}:{PORT}",
                "MONOSWEEP_TOKEN": made.stdout.strip(),
                "MONOSWEEP_INSECURE": "1",
            },
        )
        self.start()

    def start(self) -> None:
        ray = f"http://{self._host.address}:{DASHBOARD_PORT}"
        listening = ("--host", self._host.address, "--port", str(PORT))
        self._command = self._cluster.ray.monosweep(self._host, "serve", *listening, "--ray", ray)
        wait_until(lambda: is_listening(self._host.address, PORT))

    def stop(self) -> None:
        assert self._command.stop() == 0, self._command.said()


@pytest.fixture
def served(cluster: Cluster, tmp_path: Path) -> Iterator[Serving]:
    serving = Serving(cluster, tmp_path)
    yield serving
    serving.stop()


@pytest.mark.timeout(1200)
def test_whatever_goes_away_a_submitted_sweep_ends_whole_and_exact(
    cluster: Cluster,
    served: Serving,
    undisturbed: tuple[Shell, Started],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A host, then the server, then the driver: each comes back without a hand on the sweep."""
    variables = cluster.servers.variables
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    here, lost = cluster.hosts["host-a"], cluster.hosts["host-b"]
    served.laptop.run("submit", str(write_spec(tmp_path, **SPEC)))
    sweep = Watched(cluster.servers)

    def at_work() -> Attempt | None:
        """Of a search cohort, on the host that is to be lost, with a checkpoint."""
        latest = sweep.attempts(lost.name)[-1:]
        return next((a for a in latest if a.cohort_id.startswith("search") and sweep.kept(a)), None)

    sweep.until(at_work)
    victim = at_work()
    assert victim is not None
    lost.cut()
    kept = sweep.kept(victim)
    sweep.until(lambda: sweep.attempts(lost.name)[-1].lost_machine)
    with held(sweep.attempts(here.name)[-1]):
        lost.heal()
        # Whoever looks after the host starts Ray anew there.
        cluster.node_of_b.stop()
        cluster.ray.join(lost)
        num_before = len(sweep.attempts(lost.name))
        sweep.until(lambda: len(sweep.attempts(lost.name)) > num_before)

        served.stop()
        first_driver = sweep.driver()
        os.kill(first_driver, signal.SIGKILL)
    served.start()
    sweep.until(lambda: sweep.driver() not in (0, first_driver))
    sweep.ends()

    (following,) = [
        one
        for host in (here, lost)
        for one in sweep.attempts(host.name)
        if (one.cohort_id, one.number) == (victim.cohort_id, victim.number + 1)
    ]
    assert following.first_step is not None
    assert following.first_step >= max(kept) > 0
    for host in (here, lost):
        assert [one.outcome for one in sweep.attempts(host.name)].count(RECORDED) >= 1
    status = served.laptop.json("status", "tiny")
    assert (status["stage"], status["owner"], status["num_starts"]) == ("finished", "ada", 2)
    shell = Shell(tmp_path / "elsewhere", variables)
    shell.home.parent.mkdir(exist_ok=True)
    rows = shell.trials("tiny")
    assert {row["state"] for row in rows} == {"complete"}
    assert Storage(variables["MONOSWEEP_STORAGE"]).names("cohorts/tiny") == []
    check_mlflow(shell, "tiny", variables["MLFLOW_TRACKING_URI"])
    alone, began = undisturbed
    began.ends()
    assert numbers(rows) == numbers(alone.trials("tiny"))
