"""What a server has to look after, on both databases."""

import math
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from service.ledger import Ledger, NewSweep, Writer, queue, release, take
from service.ledger.outlines import outlines
from service.ledger.unsettled import unsettled, with_results_since
from service.trials import Trial


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with closing(Ledger(ledger_url)) as ledger:
        for name in ("one", "two", "three"):
            new = NewSweep(
                name=name, spec_text="x: 1", settings={"a": 1}, versions={}, num_trials=4
            )
            queue.submit(ledger.engine, new, owner="ada")
        yield ledger


def names(ledger: Ledger) -> list[str]:
    return [one.entry.sweep for one in unsettled(ledger.engine)]


def test_entries_with_their_sweeps_until_these_are_finished_or_are_to_be_extended(
    ledger: Ledger,
) -> None:
    ledger.create_sweep("by hand", spec_text="", settings={}, versions={}, num_trials=1)
    assert names(ledger) == ["one", "two", "three"]
    found = unsettled(ledger.engine)[0]
    assert found.entry == queue.entry(ledger.engine, "one")
    assert found.record == outlines(ledger.engine)[0]
    assert found.record.num_trials == ledger.sweep("one").num_trials
    assert found.now >= found.entry.submitted_at
    lease = take(ledger.engine, "two")
    with closing(Writer(ledger, lease)) as writer:
        (live,) = [one for one in unsettled(ledger.engine) if one.record.is_live]
        assert live.entry.sweep == "two"
        assert live.lease_until == pytest.approx(live.now + 30, abs=10)
        writer.finish({})
        assert names(ledger) == ["one", "three"]
        queue.want(ledger.engine, "two", owner="ada", num_trials=8)
        assert names(ledger) == ["one", "three", "two"]
    release(ledger.engine, lease)
    assert [one.lease_until for one in unsettled(ledger.engine)] == [None] * 3


def test_a_pause_may_be_without_end(ledger: Ledger) -> None:
    seen = unsettled(ledger.engine)[0].entry
    assert queue.record_failure(ledger.engine, seen, "refused", pause_s=math.inf)
    assert unsettled(ledger.engine)[0].entry.next_start_at == math.inf
    queue.want(ledger.engine, "one", owner="ada")
    assert queue.entry(ledger.engine, "one").next_start_at < math.inf  # type: ignore[union-attr]


def test_results_since_the_last_start(
    ledger: Ledger, make_trial: Callable[..., Trial], record: Callable[..., None]
) -> None:
    assert with_results_since(ledger.engine, []) == set()
    for name in ("one", "two"):
        with closing(Writer(ledger, take(ledger.engine, name))) as writer:
            writer.create_studies(["maximize"])
            if name == "one":
                record(writer, make_trial("baseline", 0, seeds=(0,)))
        assert queue.record_start(ledger.engine, queue.entry(ledger.engine, name), name)  # type: ignore[arg-type]
    entries = queue.entries(ledger.engine)[:2]
    # What was there before the start does not count.
    assert with_results_since(ledger.engine, entries) == set()
    with closing(Writer(ledger, take(ledger.engine, "three"))) as writer:
        assert queue.record_start(ledger.engine, queue.entry(ledger.engine, "three"), "j")  # type: ignore[arg-type]
        writer.create_studies(["maximize"])
        record(writer, make_trial("baseline", 0, seeds=(0,)))
    assert with_results_since(ledger.engine, queue.entries(ledger.engine)) == {"three"}
