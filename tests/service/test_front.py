"""Who is best and who is on the front, by hand and over random histories."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.front import finalists, front, ranked
from service.objective import AT_MOST, MAXIMIZE, MINIMIZE, Goal, Limit, Objective
from service.trials import Result, Trial

MakeTrial = Callable[..., Trial]

LIMITS = (Limit("loss_ratio", 1.1, AT_MOST),)
ONE = Objective((Goal("coverage", MAXIMIZE),), LIMITS)
TWO = Objective((Goal("coverage", MAXIMIZE), Goal("loss", MINIMIZE)), LIMITS)
THREE = Objective((*TWO.goals, Goal("num_neurons", MINIMIZE)), LIMITS)


def searched(
    number: int, coverage: float, loss: float = 1.0, neurons: int = 64, **changes: Any
) -> Trial:
    result = Result(
        trial_id=f"search/{number}",
        attempt=1,
        state="complete",
        metrics={"coverage": coverage, "loss": loss},
        loss_ratio=1.0,
        num_steps=1,
        train_s=1.0,
    )
    return Trial(
        phase="search",
        number=number,
        settings={"num_neurons": neurons},
        varied=(),
        seeds=(0,),
        cohort_id="search-0",
        state=changes.get("state", "complete"),
        result=replace(result, **changes),
    )


def numbers(trials: list[Trial]) -> list[int]:
    return [trial.number for trial in trials]


def test_ties_go_to_fewer_neurons_then_to_the_lower_loss_ratio_then_to_the_earlier_trial() -> None:
    trials = [
        searched(0, 0.5, neurons=128),
        searched(1, 0.5),
        searched(2, 0.5),
        searched(3, 0.6, neurons=256),
        searched(4, 0.5, loss_ratio=0.9),
    ]
    assert numbers(ranked(trials, ONE)) == [3, 4, 1, 2, 0]
    assert numbers(front(trials, ONE)) == [3]
    assert numbers(finalists(trials, ONE, 3)) == [3, 4, 1]


def test_less_is_better_where_a_number_is_minimized() -> None:
    fewest = Objective((Goal("num_neurons", MINIMIZE),), LIMITS)
    trials = [searched(n, 0.5, neurons=width) for n, width in enumerate((128, 32, 64))]
    assert numbers(ranked(trials, fewest)) == [1, 2, 0]


def test_the_front_of_two_objectives_by_hand() -> None:
    """Coverage up, loss down; 2 is behind 1 in both, 4 behind 3 in one, 5 equals 3 but wider."""
    trials = [
        searched(0, 0.9, 1.00),
        searched(1, 0.6, 0.80),
        searched(2, 0.5, 0.85),
        searched(3, 0.4, 0.70),
        searched(4, 0.4, 0.75),
        searched(5, 0.4, 0.70, neurons=128),
    ]
    assert numbers(front(trials, TWO)) == [0, 1, 3]
    assert numbers(ranked(trials, TWO)) == [0, 1, 2, 3, 5, 4]
    # With fewer neurons the later it is, 2 comes onto it, and 5 takes the place of 3 and 4.
    wide = [replace(t, settings={"num_neurons": 64 - t.number}) for t in trials]
    assert numbers(front(wide, THREE)) == [0, 1, 2, 5]


def test_finalists_are_spread_over_the_front() -> None:
    """Ends of the front first, then its widest gap: 0.0, 1.0, then 0.4 of 0.1, 0.2, 0.4."""
    at = (0.0, 0.1, 0.2, 0.4, 1.0)
    trials = [searched(n, 1.0 - way, 1.0 - way) for n, way in enumerate(at)]
    assert numbers(finalists(trials, TWO, 1)) == [0]
    assert numbers(finalists(trials, TWO, 2)) == [0, 4]
    assert numbers(finalists(trials, TWO, 3)) == [0, 4, 3]
    # The loss counts as much as coverage, whatever its unit.
    heavy = [searched(n, 1.0 - way, 1000.0 * (1.0 - way)) for n, way in enumerate(at)]
    assert numbers(finalists(heavy, TWO, 3)) == [0, 4, 3]


def test_where_the_front_is_short_the_next_one_follows() -> None:
    trials = [searched(0, 0.9, 0.5), searched(1, 0.8, 0.6), searched(2, 0.7, 0.55)]
    assert numbers(front(trials, TWO)) == [0]
    assert numbers(finalists(trials, TWO, 2)) == [0, 1]
    assert numbers(finalists(trials, TWO, 9)) == [0, 1, 2]


values = st.one_of(st.floats(0.0, 2.0), st.sampled_from([0.25, 0.5, float("nan"), float("inf")]))
histories = st.lists(
    st.tuples(
        st.sampled_from(["complete", "pruned", "failed", "running", "waiting"]),
        st.one_of(st.none(), st.floats(0.1, 10.0), st.just(float("nan"))),
        values,
        values,
        st.integers(1, 4),
    ),
    max_size=20,
)


@given(histories, st.sampled_from([ONE, TWO, THREE]), st.integers(1, 6))
def test_only_complete_finite_trials_within_the_limits_can_become_best_or_enter_the_front(
    history: list[tuple[Any, float | None, float, float, int]], objective: Objective, count: int
) -> None:
    trials = [
        replace(
            trial := searched(number, coverage, loss, width, state=state, loss_ratio=ratio),
            result=None if state in ("running", "waiting") else trial.result,
        )
        for number, (state, ratio, coverage, loss, width) in enumerate(history)
    ]
    best, on_front = ranked(trials, objective), front(trials, objective)
    chosen = finalists(trials, objective, count)
    for trial in (*best, *on_front, *chosen):
        assert trial.result is not None
        assert trial.state == "complete"
        assert trial.result.loss_ratio is not None
        assert trial.result.loss_ratio <= 1.1
        decided = objective.values(trial.result, trial.settings)
        assert decided is not None
        assert all(abs(value) < float("inf") for value in decided)
    assert on_front[:1] == chosen[:1] == best[:1]
    assert len(chosen) == len({trial.number for trial in chosen}) == min(count, len(best))
    # What is on the front is not behind anybody, what is not is behind or equal to somebody on it.
    everyone = {trial.number: better(trial, objective) for trial in best}
    there = set(numbers(on_front))
    for number, gains in everyone.items():
        others = [everyone[other] for other in everyone if other != number]
        if number in there:
            assert not any(dominates(other, gains) for other in others)
        else:
            assert any(everyone[n] == gains or dominates(everyone[n], gains) for n in there)
    # The front comes before what is behind it.
    taken = [trial.number in there for trial in chosen]
    assert all(first or not second for first, second in pairwise(taken))


def better(trial: Trial, objective: Objective) -> tuple[float, ...]:
    assert trial.result is not None
    found = objective.values(trial.result, trial.settings)
    assert found is not None
    up = {"coverage"}
    return tuple(
        value if goal.name in up else -value
        for goal, value in zip(objective.goals, found, strict=True)
    )


def dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("objective", [ONE, TWO, THREE])
def test_no_trials_are_no_front(objective: Objective) -> None:
    assert (ranked([], objective), front([], objective), finalists([], objective, 2)) == (
        [],
        [],
        [],
    )
