"""Whose turn it is: priorities first, then owners by what they have at work, then age."""

import math
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.dispatch.turns import in_turn, next_starts, num_refusals, pause_s
from service.ledger.queue import Entry

MakeEntry = Callable[..., Entry]
OWNERS = ("ada", "bob", "eve")


def names(entries: list[Entry]) -> list[str]:
    return [entry.sweep for entry in entries]


def test_the_highest_priority_goes_first_then_the_owner_with_the_fewest_then_the_oldest(
    make_entry: MakeEntry,
) -> None:
    def waits(sweep: str, owner: str, at: float, priority: int = 0) -> Entry:
        return make_entry(sweep=sweep, owner=owner, submitted_at=at, priority=priority)

    due = [
        waits("a1", "ada", 1),
        waits("a2", "ada", 2),
        waits("a3", "ada", 3),
        waits("b1", "bob", 8),
        waits("e1", "eve", 9),
        waits("urgent", "ada", 10, priority=5),
    ]
    # The urgent one counts as ada's first; bob and eve have none, and bob's is older.
    assert names(in_turn(due, [])) == ["urgent", "b1", "e1", "a1", "a2", "a3"]
    at_work = [make_entry(sweep="b0", owner="bob"), make_entry(sweep="e0", owner="eve")]
    assert names(in_turn(due[:-1], at_work)) == ["a1", "a2", "b1", "e1", "a3"]
    assert names(next_starts(due, at_work, 3)) == ["urgent"]
    assert next_starts(due, at_work, 1) == []


@given(st.data())
def test_nobody_starves_however_much_others_submit(
    make_entry: MakeEntry, data: st.DataObject
) -> None:
    """As long as an owner waits, nobody of the same priority gets more than one start ahead."""
    owners = data.draw(st.lists(st.sampled_from(OWNERS), max_size=20))
    due = [make_entry(sweep=str(i), owner=owner) for i, owner in enumerate(owners)]
    order = in_turn(data.draw(st.permutations(due)), [])
    assert Counter(order) == Counter(due)
    started: Counter[str] = Counter()
    left = Counter(owners)
    for entry in order:
        assert started[entry.owner] == min(started[o] for o in OWNERS if left[o])
        started[entry.owner] += 1
        left[entry.owner] -= 1


@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 10))
def test_never_more_than_the_limit(
    make_entry: MakeEntry, num_due: int, num_at_work: int, limit: int
) -> None:
    due = [make_entry(sweep=f"d{i}") for i in range(num_due)]
    at_work = [make_entry(sweep=f"w{i}") for i in range(num_at_work)]
    starts = next_starts(due, at_work, limit)
    assert len(starts) == min(num_due, max(limit - num_at_work, 0))


@pytest.mark.parametrize("exit_code", [None, -9, 75, 127])
def test_who_died_is_followed_for_ever_after_longer_and_longer_pauses(
    exit_code: int | None,
) -> None:
    assert num_refusals(4, exit_code) == 0
    pauses = [pause_s(failures, 0) for failures in range(9)]
    assert pauses == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0]
    assert pause_s(10_000, 0) == 300.0


@pytest.mark.parametrize("exit_code", [1, 2])
def test_what_is_refused_five_times_in_a_row_is_given_up(exit_code: int) -> None:
    refusals = [0]
    for _ in range(6):
        refusals.append(num_refusals(refusals[-1], exit_code))
    pauses = [pause_s(before, now) for before, now in enumerate(refusals[1:])]
    assert pauses == [5.0, 10.0, 20.0, 40.0, math.inf, math.inf]
    # However often it died before that.
    assert pause_s(4, 1) == 80.0
