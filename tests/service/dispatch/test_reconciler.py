"""The reconciler's walk through a sweep's life, on a real ledger and a cluster that obeys."""

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any, cast

import pytest

from service.dispatch.jobs import Jobs
from service.dispatch.reconciler import NOT_TAKEN, WORKED_S, Reconciler
from service.dispatch.stages import stage_of
from service.errors import LedgerAwayError, ReconcilerError
from service.ledger import Ledger, NewSweep, Writer, queue, release, take
from service.ledger.queue import Entry
from service.trials import Trial

LEASE_S = 30.0


def submit(ledger: Ledger, name: str = "s", **options: Any) -> None:
    new = NewSweep(name=name, spec_text="", settings={}, versions={}, num_trials=4)
    queue.submit(ledger.engine, new, **{"owner": "ada", **options})


def entry(ledger: Ledger, name: str = "s") -> Entry:
    found = queue.entry(ledger.engine, name)
    assert found is not None
    return found


def job_id(ledger: Ledger, name: str = "s") -> str:
    found = entry(ledger, name).job_id
    assert found is not None
    return found


@contextmanager
def driving(ledger: Ledger, name: str = "s") -> Iterator[Writer]:
    """A driver that holds the sweep's lease."""
    lease = take(ledger.engine, name)
    with closing(Writer(ledger, lease)) as writer:
        yield writer
    release(ledger.engine, lease)


class Server:
    """A reconciler, and where it says that a sweep stands."""

    def __init__(self, ledger: Ledger, cluster: Any, max_sweeps: int = 2) -> None:
        self.ledger, self.cluster = ledger, cluster
        self.reconciler = Reconciler(ledger, cast("Jobs", cluster), max_sweeps=max_sweeps)

    def stage_after_a_look(self, name: str = "s") -> str:
        self.reconciler.reconcile()
        found = entry(self.ledger, name)
        job = self.cluster.jobs.get(found.job_id)
        return stage_of(found, self.ledger.sweep(name), job)


@pytest.fixture
def server(ledger: Ledger, cluster: Any, clock: Any) -> Server:
    return Server(ledger, cluster)


def test_a_submission_is_driven_to_its_end_once(
    server: Server, ledger: Ledger, cluster: Any
) -> None:
    submit(ledger)
    assert server.stage_after_a_look() == "starting"
    first = job_id(ledger)
    assert first.startswith("monosweep-s-1-")
    assert cluster.words[first] == ["resume", "s", "--address", "auto"]
    with driving(ledger) as writer:
        assert server.stage_after_a_look() == "running"
        writer.finish({})
    cluster.ends(first, 0)
    assert server.stage_after_a_look() == "finished"
    assert list(cluster.words) == [first]
    assert entry(ledger).problem is None


def test_who_dies_is_followed_by_another_when_its_lease_is_over_and_a_pause_is(
    server: Server, ledger: Ledger, cluster: Any, clock: Any
) -> None:
    submit(ledger)
    server.reconciler.reconcile()
    first = job_id(ledger)
    take(ledger.engine, "s")
    # Its machine is cut off: the cluster gives it up, but it may still write.
    cluster.ends(first, -9, "its driver was killed by signal 9.")
    assert server.stage_after_a_look() == "running"
    clock.wait(LEASE_S + 1)
    assert server.stage_after_a_look() == "waiting"
    assert (entry(ledger).num_failures, entry(ledger).problem) == (
        1,
        "its driver was killed by signal 9.",
    )
    # Seen again, it does not count again.
    assert server.stage_after_a_look() == "waiting"
    assert entry(ledger).num_failures == 1
    clock.wait(4.9)
    assert server.stage_after_a_look() == "waiting"
    clock.wait(0.2)
    assert server.stage_after_a_look() == "starting"
    assert job_id(ledger).startswith("monosweep-s-2-")


def test_results_end_the_count_of_failures(
    *,
    server: Server,
    ledger: Ledger,
    cluster: Any,
    clock: Any,
    make_trial: Callable[..., Trial],
    record: Callable[..., None],
) -> None:
    def dies() -> None:
        cluster.ends(job_id(ledger), -9)
        server.reconciler.reconcile()
        clock.wait(301)
        server.reconciler.reconcile()

    submit(ledger)
    server.reconciler.reconcile()
    dies()
    dies()
    assert entry(ledger).num_failures == 2
    with driving(ledger) as writer:
        server.reconciler.reconcile()
        assert entry(ledger).num_failures == 2
        writer.create_studies(["maximize"])
        record(writer, make_trial("baseline", 0, seeds=(0,)))
        server.reconciler.reconcile()
        assert (entry(ledger).num_failures, entry(ledger).problem) == (0, None)
    dies()
    assert entry(ledger).num_failures == 1
    # Results that nobody looked at before the driver died count as well.
    with driving(ledger) as writer:
        record(writer, make_trial("baseline", 1, seeds=(1,)))
    dies()
    assert entry(ledger).num_failures == 1


def test_a_long_time_at_work_ends_the_count_of_failures(
    server: Server, ledger: Ledger, cluster: Any, clock: Any
) -> None:
    submit(ledger)
    server.reconciler.reconcile()
    cluster.ends(job_id(ledger), 75)
    server.reconciler.reconcile()
    clock.wait(5.1)
    server.reconciler.reconcile()
    clock.wait(WORKED_S - 1)
    with driving(ledger):
        server.reconciler.reconcile()
        assert entry(ledger).num_failures == 1
        clock.wait(2)
        server.reconciler.reconcile()
        assert entry(ledger).num_failures == 0


def test_a_mistake_is_tried_five_times_and_then_left_until_somebody_wants_it(
    server: Server, ledger: Ledger, cluster: Any, clock: Any
) -> None:
    submit(ledger)
    stages = []
    for _ in range(7):
        server.reconciler.reconcile()
        cluster.ends(job_id(ledger), 2, "torch: 2.12 -> 2.13\nRestore them.\0")
        stages.append(server.stage_after_a_look())
        clock.wait(301)
    assert stages == ["waiting"] * 4 + ["failed"] * 3
    assert len(cluster.words) == 5
    assert entry(ledger).problem == "torch: 2.12 -> 2.13\nRestore them."
    queue.want(ledger.engine, "s", owner="bob")
    assert server.stage_after_a_look() == "starting"


def test_who_died_often_is_not_given_up_for_one_refusal_nor_for_some_with_a_death_between(
    server: Server, ledger: Ledger, cluster: Any, clock: Any
) -> None:
    submit(ledger)
    for exit_code in (-9, -9, -9, -9, 2, 2, 2, 2, 75, 2, 2, 2, 2):
        server.reconciler.reconcile()
        cluster.ends(job_id(ledger), exit_code)
        assert server.stage_after_a_look() == "waiting"
        clock.wait(301)
    server.reconciler.reconcile()
    cluster.ends(job_id(ledger), 2)
    assert server.stage_after_a_look() == "failed"
    queue.want(ledger.engine, "s", owner="ada")
    server.reconciler.reconcile()
    cluster.ends(job_id(ledger), 2)
    assert server.stage_after_a_look() == "waiting"


def test_a_sweep_that_cannot_go_on_fails_at_once_with_the_reason(
    server: Server, ledger: Ledger, cluster: Any, clock: Any
) -> None:
    submit(ledger)
    server.reconciler.reconcile()
    with driving(ledger) as writer:
        writer.fail("the baseline diverged.")
    cluster.ends(job_id(ledger), 1, "x")
    assert server.stage_after_a_look() == "failed"
    clock.wait(1000)
    assert server.stage_after_a_look() == "failed"
    assert entry(ledger).problem == "the baseline diverged."
    assert len(cluster.words) == 1
    queue.want(ledger.engine, "s", owner="ada")
    assert server.stage_after_a_look() == "starting"


def test_who_is_stopped_is_told_so_and_stays_until_wanted(
    server: Server, ledger: Ledger, cluster: Any, clock: Any
) -> None:
    submit(ledger)
    server.reconciler.reconcile()
    first = job_id(ledger)
    with driving(ledger):
        queue.stop(ledger.engine, "s")
        assert server.stage_after_a_look() == "stopping"
        assert cluster.stopped == [first]
    # Ray has not noticed yet.
    assert server.stage_after_a_look() == "stopping"
    cluster.ends(first, None, "Job was intentionally stopped.")
    for _ in range(3):
        assert server.stage_after_a_look() == "stopped"
        clock.wait(1000)
    assert (entry(ledger).num_failures, entry(ledger).problem) == (0, None)
    queue.want(ledger.engine, "s", owner="ada")
    assert server.stage_after_a_look() == "starting"
    assert len(cluster.words) == 2


def test_wanted_again_while_the_last_driver_still_stops_it_gets_the_next_one_after_it(
    server: Server, ledger: Ledger, cluster: Any, clock: Any
) -> None:
    submit(ledger)
    server.reconciler.reconcile()
    first = job_id(ledger)
    queue.stop(ledger.engine, "s")
    server.reconciler.reconcile()
    clock.wait(1)
    queue.want(ledger.engine, "s", owner="ada")
    assert server.stage_after_a_look() == "starting"
    assert list(cluster.words) == [first]
    cluster.ends(first, None)
    assert server.stage_after_a_look() == "starting"
    assert len(cluster.words) == 2


def test_stopped_between_the_look_and_the_start_it_is_not_started(
    server: Server, ledger: Ledger
) -> None:
    submit(ledger)
    seen = entry(ledger)
    queue.stop(ledger.engine, "s")
    assert not queue.record_start(ledger.engine, seen, "job")
    assert server.stage_after_a_look() == "stopped"


@pytest.mark.parametrize("looks_meanwhile", [True, False])
def test_a_finished_sweep_is_extended_once(
    server: Server, ledger: Ledger, cluster: Any, clock: Any, looks_meanwhile: bool
) -> None:
    submit(ledger)
    server.reconciler.reconcile()
    with driving(ledger) as writer:
        writer.finish({})
    cluster.ends(job_id(ledger), 0)
    clock.wait(1)
    queue.want(ledger.engine, "s", owner="ada", num_trials=8)
    assert server.stage_after_a_look() == "starting"
    second = job_id(ledger)
    assert cluster.words[second] == ["resume", "s", "--address", "auto", "--num-trials", "8"]
    with driving(ledger) as writer:
        writer.extend(8)
        if looks_meanwhile:
            server.reconciler.reconcile()
        # A budget of time may close the search before: that is no reason to extend it again.
        writer.close_search(6, {"budget": "time"})
    cluster.ends(second, -9)
    server.reconciler.reconcile()
    clock.wait(6)
    server.reconciler.reconcile()
    assert cluster.words[job_id(ledger)] == ["resume", "s", "--address", "auto"]
    with driving(ledger) as writer:
        writer.finish({})
    cluster.ends(job_id(ledger), 0)
    num_starts = len(cluster.words)
    assert server.stage_after_a_look() == "finished"
    clock.wait(60)
    assert server.stage_after_a_look() == "finished"
    assert len(cluster.words) == num_starts


def test_a_head_that_forgot_its_jobs_has_lost_their_drivers(
    server: Server, ledger: Ledger, cluster: Any, clock: Any
) -> None:
    submit(ledger)
    server.reconciler.reconcile()
    # As when another server has recorded the start, and submits the job in a moment.
    del cluster.jobs[job_id(ledger)]
    assert server.stage_after_a_look() == "starting"
    assert entry(ledger).num_failures == 0
    clock.wait(31)
    assert server.stage_after_a_look() == "waiting"
    assert "lost with the head" in str(entry(ledger).problem)
    clock.wait(6)
    server.reconciler.reconcile()
    assert len(cluster.words) == 2


def test_a_driver_that_long_holds_no_lease_is_stopped(
    server: Server, ledger: Ledger, cluster: Any, clock: Any
) -> None:
    submit(ledger)
    server.reconciler.reconcile()
    clock.wait(299)
    server.reconciler.reconcile()
    take(ledger.engine, "s")
    clock.wait(LEASE_S + 299)
    server.reconciler.reconcile()
    assert cluster.stopped == []
    clock.wait(2)
    server.reconciler.reconcile()
    assert cluster.stopped == [job_id(ledger)]


def test_a_cluster_that_is_away_is_told_of_once_and_nothing_is_held_against_a_sweep(
    server: Server, ledger: Ledger, cluster: Any, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    submit(ledger, "old")
    server.reconciler.reconcile()
    cluster.is_away = True
    submit(ledger, "new")
    with caplog.at_level(logging.WARNING, logger="monosweep"):
        for _ in range(3):
            server.reconciler.reconcile()
            clock.wait(20)
        assert entry(ledger, "old").num_failures == 0
        assert entry(ledger, "new").num_starts == 0
        cluster.is_away = False
        server.reconciler.reconcile()
    assert [record.message.split(".")[0] for record in caplog.records] == [
        "the Ray cluster does not answer",
        "The Ray cluster answers again, after 0 s",
    ]
    assert entry(ledger, "new").num_starts == 1


def test_of_a_job_that_was_taken_without_an_answer_no_second_one_is_made(
    server: Server, ledger: Ledger, cluster: Any, clock: Any
) -> None:
    submit(ledger)
    cluster.takes_jobs = False
    server.reconciler.reconcile()
    assert entry(ledger).problem == NOT_TAKEN
    assert entry(ledger).num_failures == 0
    clock.wait(10)
    assert server.stage_after_a_look() == "starting"
    assert len(cluster.words) == 1
    # Over as soon as there is a driver.
    with driving(ledger):
        assert server.stage_after_a_look() == "running"
    assert entry(ledger).problem is None


def test_trouble_with_one_job_holds_up_no_other(
    server: Server, ledger: Ledger, cluster: Any, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    submit(ledger, "bad")
    submit(ledger, "good")
    server.reconciler.reconcile()
    cluster.troubled = {job_id(ledger, "bad")}
    for name in ("bad", "good"):
        queue.stop(ledger.engine, name)
    submit(ledger, "new")
    clock.wait(60)
    for _ in range(3):
        server.reconciler.reconcile()
    assert set(cluster.stopped) == {job_id(ledger, "good")}
    cluster.ends(job_id(ledger, "good"), 75)
    assert server.stage_after_a_look("new") == "starting"
    # Of which nothing is known takes its place until it is.
    assert entry(ledger, "bad").num_failures == 0
    said = [record.message for record in caplog.records]
    assert len(said) == 2
    assert all("500" in line for line in said)
    cluster.troubled = set()
    server.reconciler.reconcile()
    assert job_id(ledger, "bad") in cluster.stopped


def test_of_a_job_that_lands_long_after_nobody_waits_for_the_answer_no_second_one_is_made(
    server: Server, ledger: Ledger, cluster: Any, clock: Any
) -> None:
    submit(ledger)
    cluster.takes_jobs = False
    server.reconciler.reconcile()
    first = job_id(ledger)
    late = cluster.jobs.pop(first)
    cluster.takes_jobs = True
    clock.wait(25)
    server.reconciler.reconcile()
    cluster.jobs[first] = late
    clock.wait(10)
    assert server.stage_after_a_look() == "starting"
    assert list(cluster.words) == [first]
    # It is the one that is told to stop.
    queue.stop(ledger.engine, "s")
    assert server.stage_after_a_look() == "stopping"
    assert cluster.stopped == [first]


def test_a_job_that_was_never_taken_is_followed_by_another(
    server: Server, ledger: Ledger, cluster: Any, clock: Any
) -> None:
    submit(ledger)
    cluster.takes_jobs = False
    server.reconciler.reconcile()
    cluster.jobs.clear()
    cluster.takes_jobs = True
    clock.wait(31)
    server.reconciler.reconcile()
    assert len(cluster.words) == 2


def test_so_many_sweeps_at_once_fair_between_owners(
    server: Server, ledger: Ledger, cluster: Any, clock: Any
) -> None:
    for number in range(3):
        submit(ledger, f"a{number}")
        clock.wait(1)
    submit(ledger, "b0", owner="bob")
    server.reconciler.reconcile()
    server.reconciler.reconcile()
    started = {words[1] for words in cluster.words.values()}
    assert started == {"a0", "b0"}
    # Run by hand, without the server: it has a driver, and counts.
    with driving(ledger, "a1"):
        cluster.ends(job_id(ledger, "a0"), 75)
        server.reconciler.reconcile()
        clock.wait(6)
        assert server.stage_after_a_look("a0") == "waiting"
    assert server.stage_after_a_look("a0") == "starting"
    assert server.stage_after_a_look("a1") == "queued"


def test_of_two_servers_one_starts_the_driver(ledger: Ledger, cluster: Any) -> None:
    names = [f"s{number}" for number in range(6)]
    for name in names:
        submit(ledger, name)
    servers = [Server(ledger, cluster, max_sweeps=6) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            list(pool.map(lambda server: server.reconciler.reconcile(), servers))
    assert sorted(words[1] for words in cluster.words.values()) == names
    assert {entry(ledger, name).num_starts for name in names} == {1}


def test_a_deleted_sweep_is_left_alone(server: Server, ledger: Ledger, cluster: Any) -> None:
    submit(ledger)
    with driving(ledger) as writer:
        writer.begin_deletion()
    assert server.stage_after_a_look() == "deleting"
    assert not cluster.words


def test_the_loop_goes_on_while_the_ledger_is_away_and_looks_when_it_is_woken(
    ledger: Ledger, cluster: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reconciler = Reconciler(ledger, cast("Jobs", cluster), max_sweeps=1, interval_s=3600.0)
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 4:
            reconciler.close()
        reconciler.wake()
        if looks in (2, 3):
            raise LedgerAwayError("the ledger does not answer.")

    monkeypatch.setattr(reconciler, "reconcile", look)
    with caplog.at_level(logging.WARNING, logger="monosweep"):
        reconciler.run()
    assert looks == 4
    said = [record.message for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("the ledger does not answer.")
    assert said[1].startswith("The ledger answers again")


def test_a_thread_of_its_own_that_ends_when_left(ledger: Ledger, cluster: Any) -> None:
    submit(ledger)
    reconciler = Reconciler(ledger, cast("Jobs", cluster), max_sweeps=1, interval_s=0.01)
    with reconciler:
        assert reconciler.is_at_work
        until = time.monotonic() + 30
        while not cluster.words and time.monotonic() < until:
            time.sleep(0.01)
    assert not reconciler.is_at_work
    assert cluster.words


def test_what_the_ledger_refuses_is_waited_for_as_well(
    ledger: Ledger, cluster: Any, caplog: pytest.LogCaptureFixture
) -> None:
    submit(ledger)
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE monosweep_queue RENAME TO away")
    reconciler = Reconciler(ledger, cast("Jobs", cluster), max_sweeps=1, interval_s=0.01)
    with reconciler:
        wait_until(lambda: bool(caplog.records))
        assert "no such table" in caplog.records[0].message
        with ledger.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE away RENAME TO monosweep_queue")
        wait_until(lambda: bool(cluster.words))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_who_is_left_after_its_thread_died_says_so(
    ledger: Ledger, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconciler = Reconciler(ledger, cast("Jobs", cluster), max_sweeps=1)
    monkeypatch.setattr(reconciler, "reconcile", lambda: 1 / 0)
    with pytest.raises(ReconcilerError, match="Start the server again"), reconciler:
        wait_until(lambda: not reconciler.is_at_work)


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_what_is_over_is_not_asked_for_again(
    server: Server, ledger: Ledger, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(ledger)
    server.reconciler.reconcile()
    queue.stop(ledger.engine, "s")
    cluster.ends(job_id(ledger), None)
    server.reconciler.reconcile()
    asked: list[str] = []
    monkeypatch.setattr(cluster, "state", asked.append)
    server.reconciler.reconcile()
    assert asked == []


def test_a_server_imports_neither_ray_nor_torch() -> None:
    code = (
        "import sys; from service.dispatch import reconciler, jobs; jobs.RayJobs('http://h:1');"
        "print([name for name in ('ray', 'torch', 'mlflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
