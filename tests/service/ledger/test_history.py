"""What happened when: the order of ends, and the time at work without the time away."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from service.ledger import (
    Ledger,
    Writer,
    in_order_of_end,
    release,
    seconds_at_work,
    tables,
    take,
)
from service.ledger.lease import DURATION_S
from service.trials import Point, Result


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with closing(Ledger(ledger_url)) as ledger:
        for name in ("s", "other"):
            ledger.create_sweep(name, spec_text="", settings={}, versions={}, num_trials=5)
        yield ledger


def attempts(ledger: Ledger, *rows: tuple[str, str, float, float | None]) -> None:
    with ledger.engine.begin() as connection:
        for number, (sweep, cohort_id, started_at, ended_at) in enumerate(rows, start=1):
            connection.execute(
                insert(tables.attempts).values(
                    sweep=sweep,
                    cohort_id=cohort_id,
                    attempt=number,
                    started_at=started_at,
                    ended_at=ended_at,
                )
            )


def test_time_at_work_is_counted_once_however_many_cohorts_there_were(ledger: Ledger) -> None:
    attempts(
        ledger,
        ("s", "baseline-0", 0.0, 100.0),
        ("s", "search-0", 100.0, 110.0),
        ("s", "search-1", 104.0, 106.0),  # within the first
        ("s", "search-2", 108.0, 115.0),  # beginning within it
        ("s", "search-2", 200.0, 201.5),  # after a time away
        ("s", "search-3", 300.0, None),  # the present driver's
        ("s", "confirmation-0", 400.0, 500.0),
        ("other", "search-0", 0.0, 1000.0),
    )
    # From 100 to 115, and from 200 to 201.5.
    assert seconds_at_work(ledger.engine, "s", "search") == pytest.approx(16.5)
    assert seconds_at_work(ledger.engine, "s", "baseline") == pytest.approx(100.0)


def test_nothing_done_took_no_time(ledger: Ledger) -> None:
    assert seconds_at_work(ledger.engine, "s", "search") == 0.0
    assert in_order_of_end(ledger.engine, "s", "search") == []


def test_trials_come_in_the_order_of_their_ends_and_by_number_where_they_ended_at_once(
    ledger: Ledger,
) -> None:
    lease = take(ledger.engine, "s")
    with closing(Writer(ledger, lease)) as writer:
        writer.create_studies(["maximize"])
        point = Point(settings={"num_neurons": 64}, seeds=(0,))
        # Twelve, since "search/10" sorts before "search/2".
        for number in range(12):
            writer.add_trials("search", number, [point], f"search-{number // 4}")
        writer.add_trials("baseline", 0, [point], "baseline-0")
        for cohort, at in ((2, 10.0), (0, 20.0), (1, 30.0)):
            attempt = writer.begin_attempt(f"search-{cohort}")
            found = [result(f"search/{number}") for number in range(4 * cohort, 4 * cohort + 4)]
            writer.record_results(f"search-{cohort}", attempt, found)
            end(ledger, [one.trial_id for one in found], at)
        writer.record_results(
            "baseline-0", writer.begin_attempt("baseline-0"), [result("baseline/0")]
        )
    assert in_order_of_end(ledger.engine, "s", "search") == [8, 9, 10, 11, *range(8)]


def result(trial_id: str) -> Result:
    return Result(trial_id=trial_id, attempt=1, state="pruned", num_steps=8, train_s=1.0)


def end(ledger: Ledger, trial_ids: list[str], at: float) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(
            update(tables.results)
            .where(tables.results.c.trial_id.in_(trial_ids))
            .values(ended_at=at)
        )


def last_attempt(ledger: Ledger) -> Any:
    with ledger.engine.connect() as connection:
        return connection.execute(select(tables.attempts)).one()


def test_a_killed_driver_was_at_work_until_its_lease_was_last_renewed(ledger: Ledger) -> None:
    lease = take(ledger.engine, "s")
    with closing(Writer(ledger, lease)) as writer:
        writer.begin_attempt("search-0")
    began = last_attempt(ledger).started_at
    with ledger.engine.begin() as connection:
        # An hour at work, then killed; the lease ran out long ago.
        connection.execute(update(tables.attempts).values(started_at=began - 7200.0))
        connection.execute(update(tables.leases).values(expires_at=began - 3600.0 + DURATION_S))
    release(ledger.engine, take(ledger.engine, "s"))
    found = last_attempt(ledger)
    assert found.ended_at == pytest.approx(began - 3600.0, abs=1e-3)
    assert found.outcome == tables.ABANDONED
    assert seconds_at_work(ledger.engine, "s", "search") == pytest.approx(3600.0, abs=1e-3)


def test_an_attempt_that_began_after_the_last_renewal_took_no_time(ledger: Ledger) -> None:
    lease = take(ledger.engine, "s")
    with closing(Writer(ledger, lease)) as writer:
        writer.begin_attempt("search-0")
    began = last_attempt(ledger).started_at
    with ledger.engine.begin() as connection:
        connection.execute(update(tables.leases).values(expires_at=began - 3.0 + DURATION_S))
        # So that it is not waited for.
        connection.execute(update(tables.leases).values(pid=2**22 + 1, process_start=0.0))
    release(ledger.engine, take(ledger.engine, "s"))
    assert last_attempt(ledger).ended_at == began


def test_a_driver_that_ends_in_good_order_ends_its_attempts(ledger: Ledger) -> None:
    lease = take(ledger.engine, "s")
    with closing(Writer(ledger, lease)) as writer:
        writer.begin_attempt("search-0")
    release(ledger.engine, lease)
    found = last_attempt(ledger)
    assert found.outcome == tables.ABANDONED
    assert 0.0 <= found.ended_at - found.started_at < 60.0


def test_who_lost_the_lease_ends_no_attempts_of_the_next_driver(ledger: Ledger) -> None:
    lost = take(ledger.engine, "s")
    release(ledger.engine, lost)
    lease = take(ledger.engine, "s")
    with closing(Writer(ledger, lease)) as writer:
        writer.begin_attempt("search-0")
        release(ledger.engine, lost)
        assert last_attempt(ledger).ended_at is None
    release(ledger.engine, lease)
