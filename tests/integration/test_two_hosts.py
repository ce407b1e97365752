"""A sweep on two hosts with addresses of their own, one of which is cut off and later returns."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow_shows import check_mlflow
from object_store import VENV, ObjectStore
from postgres import Postgres
from ray_on_hosts import RayOnHosts
from servers_of_a_sweep import Servers, serving
from shell import Shell, Started, numbers, wait_until, write_spec
from two_hosts import Command, Hosts, why_not

from service.ledger import RECORDED, Attempt, Ledger
from service.storage import Storage

# Proposals that do not depend on what ended before: those of any number of workers are the same.
# Cohorts of some seconds, enough of them that one host is still at work when the other returns.
SPEC = {
    "num_steps: 512": "num_steps: 4096",
    "learning_rate: 0.02": "learning_rate: 0.005",
    "num_trials: 4": "num_trials: 12, sampler: random",
    "max_concurrent: 1": "max_concurrent: 2, checkpoint_s: 0.25",
}
# Some 20 s on a machine with nothing else to do.
WATCH_S = 600.0


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
                ray = RayOnHosts(hosts["host-a"], variables=servers.variables)
                yield Cluster(hosts, servers, ray, ray.join(hosts["host-b"]))


class Watched:
    """A sweep at work, seen from outside."""

    def __init__(self, driver: Command, servers: Servers) -> None:
        self._driver = driver
        self._storage = Storage(servers.variables["MONOSWEEP_STORAGE"])
        wait_until(lambda: "search" in driver.said() or driver.process.poll() is not None)
        assert driver.process.poll() is None, driver.said()
        self._ledger = Ledger(servers.variables["MONOSWEEP_LEDGER_URL"], create=False)

    def attempts(self, host: str) -> list[Attempt]:
        """Those that began on a host, oldest first."""
        found = [
            one
            for one in self._ledger.attempts("tiny")
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

    def until(self, holds: Callable[[], object]) -> None:
        """Wait for it, as long as the sweep is at work."""
        self._wait(holds)
        assert holds(), self._driver.said()

    def ends(self) -> str:
        """Wait for its end; all that its driver said."""
        self._wait(lambda: False)
        assert self._driver.process.poll() == 0, self._driver.said()
        return self._driver.said()

    def _wait(self, holds: Callable[[], object]) -> None:
        until = time.monotonic() + WATCH_S
        while not holds() and self._driver.process.poll() is None:
            assert time.monotonic() < until, self._driver.said()
            time.sleep(0.1)


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
from service import cluster
def late(seconds):
    time.sleep(seconds)
    return seconds
with cluster.looking(sys.argv[1]):
    head, *_ = cluster.nodes()
    cluster.ask({head: 0.0}, late, 100.0)
    answers = [cluster.ask({head: seconds}, late, 5.0)[head] for seconds in (0.5, 60.0)]
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


@pytest.mark.timeout(1200)
def test_a_host_that_is_cut_off_and_returns_costs_no_trial_and_no_digit(
    cluster: Cluster,
    undisturbed: tuple[Shell, Started],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variables = cluster.servers.variables
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    here, lost = cluster.hosts["host-a"], cluster.hosts["host-b"]
    spec = write_spec(here.tmp, **SPEC)
    address = cluster.ray.address
    driver = cluster.ray.monosweep(here, "run", f"/tmp/{spec.name}", "--address", address)
    sweep = Watched(driver, cluster.servers)

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
    lost.heal()
    # Whoever looks after the host starts Ray anew there.
    cluster.node_of_b.stop()
    cluster.ray.join(lost)
    num_before = len(sweep.attempts(lost.name))
    sweep.until(lambda: len(sweep.attempts(lost.name)) > num_before)
    said = sweep.ends()

    assert f"{victim.cohort_id} ended without results, trying again" in " ".join(said.split()), said
    (following,) = [
        one
        for host in (here, lost)
        for one in sweep.attempts(host.name)
        if (one.cohort_id, one.number) == (victim.cohort_id, victim.number + 1)
    ]
    assert following.first_step is not None
    assert following.first_step >= max(kept) > 0
    assert [one.outcome for one in sweep.attempts(lost.name)].count(RECORDED) >= 1
    assert sweep.attempts(lost.name)[-1].outcome == RECORDED
    shell = Shell(tmp_path / "home", variables)
    rows = shell.trials("tiny")
    assert {row["state"] for row in rows} == {"complete"}
    assert Storage(variables["MONOSWEEP_STORAGE"]).names("cohorts/tiny") == []
    check_mlflow(shell, "tiny", variables["MLFLOW_TRACKING_URI"])
    alone, began = undisturbed
    began.ends()
    assert numbers(rows) == numbers(alone.trials("tiny"))
