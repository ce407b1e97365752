"""Limits from the environment, and buckets of calls."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.limits import VARIABLE, Limits
from service.api.rates import Rates


def test_limits_are_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert Limits.from_environment() == Limits()
    monkeypatch.setenv(VARIABLE, "trials=500, training_steps=1e8,")
    assert Limits.from_environment() == Limits(trials=500, training_steps=100_000_000)


def test_the_packaged_sweeps_are_within_the_limits() -> None:
    from service.spec import load_spec, packaged_sweeps

    for name in packaged_sweeps():
        Limits().check(load_spec(name))


@given(
    st.lists(st.floats(0.0, 5.0), max_size=60),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_no_more_calls_than_the_bucket_held_and_what_came_back(
    pauses: list[float], per_s: int, at_once: int
) -> None:
    now = 0.0
    rates = Rates(per_s, at_once, clock=lambda: now)
    taken = 0
    for pause in pauses:
        now += pause
        wait_s = rates.take("ann")
        taken += not wait_s
        assert taken <= at_once + now * per_s + 1e-6
        if wait_s:
            # Whoever waits as long as it is told to is let in.
            now += wait_s + 1e-9
            assert rates.take("ann") == 0.0
            taken += 1


def test_who_asks_nobody_else_pays_for() -> None:
    rates = Rates(1.0, 2.0, clock=lambda: 0.0)
    assert [rates.take("ann") for _ in range(3)] == [0.0, 0.0, 1.0]
    assert rates.take("ben") == 0.0


def test_what_is_kept_of_an_owners_is_limited_also_where_all_was_stopped(
    serve: Any, home: Any, tiny_text: str
) -> None:
    with serve(home, Limits(sweeps_each=2)) as served:
        for name in ("one", "two"):
            assert served.submit(tiny_text, name=name).status_code == 201
            served.post(f"/v1/sweeps/{name}/stop")
        full = served.submit(tiny_text, name="three")
        assert full.status_code == 503
        assert "at most 2 sweeps of ann's" in full.json()["detail"]
        assert served.submit(tiny_text, "ben", name="three").status_code == 201
        served.call("DELETE", "/v1/sweeps/one?confirm=one")
        assert served.submit(tiny_text, name="four").status_code == 201
