"""A server's queue, on both databases: once submitted, once started, never twice."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from service.errors import KeyReusedError, SweepExistsError, SweepNotFoundError
from service.ledger import Ledger, NewSweep, Writer, held, queue

SWEEP = NewSweep(name="s", spec_text="name: s", settings={}, versions={}, num_trials=4)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with closing(Ledger(ledger_url)) as ledger:
        yield ledger


def submitted(ledger: Ledger) -> queue.Entry:
    queue.submit(ledger.engine, SWEEP, owner="ada")
    found = queue.entry(ledger.engine, "s")
    assert found is not None
    return found


def test_a_submission_is_a_sweep_and_an_entry(ledger: Ledger) -> None:
    assert queue.submit(ledger.engine, SWEEP, owner="ada", priority=2, key="k")
    assert ledger.sweep("s").state == "interrupted"
    (found,) = queue.entries(ledger.engine)
    assert (found.sweep, found.owner, found.priority, found.is_wanted) == ("s", "ada", 2, True)
    assert (found.job_id, found.num_starts, found.problem) == (None, 0, None)


def test_the_same_key_is_the_same_submission(ledger: Ledger) -> None:
    assert queue.submit(ledger.engine, SWEEP, owner="ada", key="k")
    assert not queue.submit(ledger.engine, SWEEP, owner="ada", key="k")
    with pytest.raises(SweepExistsError):
        queue.submit(ledger.engine, SWEEP, owner="bob", key="k")
    other = NewSweep(name="t", spec_text="name: t", settings={}, versions={}, num_trials=4)
    with pytest.raises(KeyReusedError, match="used for the sweep 's' before"):
        queue.submit(ledger.engine, other, owner="ada", key="k")
    assert ledger.names() == ["s"]
    assert len(queue.entries(ledger.engine)) == 1


def test_of_the_same_submission_at_the_same_moment_one_is_new(ledger: Ledger) -> None:
    def send(_: int) -> bool:
        return queue.submit(ledger.engine, SWEEP, owner="ada", key="k")

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(send, range(16))) == 1
    assert len(queue.entries(ledger.engine)) == 1


def test_a_name_that_is_taken_is_refused_and_leaves_no_entry(ledger: Ledger) -> None:
    ledger.create_sweep("s", spec_text="", settings={}, versions={}, num_trials=1)
    with pytest.raises(SweepExistsError):
        queue.submit(ledger.engine, SWEEP, owner="ada", key="k")
    assert queue.entries(ledger.engine) == []


def test_of_two_that_would_start_a_driver_one_does(ledger: Ledger) -> None:
    seen = submitted(ledger)
    assert queue.record_start(ledger.engine, seen, "job-1")
    assert not queue.record_start(ledger.engine, seen, "job-2")
    now = queue.entry(ledger.engine, "s")
    assert now is not None
    assert (now.job_id, now.num_starts) == ("job-1", 1)
    assert now.started_at == pytest.approx(seen.submitted_at, abs=60)


def test_failures_are_counted_until_one_is_at_work(ledger: Ledger) -> None:
    seen = submitted(ledger)
    for number in (1, 2):
        assert queue.record_failure(ledger.engine, seen, f"problem {number}", pause_s=100.0)
        found = queue.entry(ledger.engine, "s")
        assert found is not None
        assert (found.num_failures, found.problem) == (number, f"problem {number}")
        assert found.next_start_at == pytest.approx(found.submitted_at + 100, abs=60)
        seen = found
    assert queue.record_success(ledger.engine, seen)
    found = queue.entry(ledger.engine, "s")
    assert found is not None
    assert (found.num_failures, found.problem) == (0, None)


def test_stopped_and_wanted_again(ledger: Ledger) -> None:
    seen = submitted(ledger)
    queue.stop(ledger.engine, "s")
    stopped = queue.entry(ledger.engine, "s")
    assert stopped is not None and not stopped.is_wanted
    queue.want(ledger.engine, "s", owner="bob", num_trials=8)
    again = queue.entry(ledger.engine, "s")
    assert again is not None
    assert (again.owner, again.is_wanted, again.num_trials) == ("ada", True, 8)
    # What was decided before that does not count any more.
    assert not queue.record_failure(ledger.engine, seen, "old", pause_s=1.0)


@pytest.mark.parametrize(("given", "left"), [(7, 8), (8, None), (9, None)])
def test_a_budget_is_asked_for_until_the_sweep_has_it(
    ledger: Ledger, given: int, left: int | None
) -> None:
    submitted(ledger)
    queue.want(ledger.engine, "s", owner="ada", num_trials=8)
    with held(ledger.engine, "s") as lease, closing(Writer(ledger, lease)) as writer:
        writer.extend(given)
    found = queue.entry(ledger.engine, "s")
    assert found is not None and found.num_trials == left


def test_a_sweep_of_no_server_may_be_wanted_and_gets_an_owner(ledger: Ledger) -> None:
    ledger.create_sweep("s", spec_text="", settings={}, versions={}, num_trials=1)
    assert queue.entry(ledger.engine, "s") is None
    queue.stop(ledger.engine, "s")
    queue.want(ledger.engine, "s", owner="bob")
    (found,) = queue.entries(ledger.engine)
    assert (found.owner, found.is_wanted) == ("bob", True)
    with pytest.raises(SweepNotFoundError):
        queue.want(ledger.engine, "nosuch", owner="bob")
