"""Expected ends are worked out by hand."""

from typing import Any

import pytest

from service.objective import (
    AT_LEAST,
    AT_MOST,
    LOSS_RATIO,
    MAXIMIZE,
    MINIMIZE,
    NUM_NEURONS,
    Goal,
    Limit,
    Objective,
)
from service.search.foresight import told
from service.trials import Result, Told

SOFT, HARD = "concentration_per_feature", "monosemantic_per_feature"
CEILING = Limit(LOSS_RATIO, 1.0, AT_MOST)
OBJECTIVE = Objective(goals=(Goal(HARD, MAXIMIZE),), limits=(CEILING,))
SETTINGS = {"num_neurons": 64}
NOTHING = Told(None)


def result(state: Any, standings: Any = None, *, num_steps: int = 64, **numbers: float) -> Result:
    ratio = numbers.pop(LOSS_RATIO, None)
    return Result(
        trial_id="search/0",
        attempt=1,
        state=state,
        metrics=numbers,
        loss_ratio=ratio,
        num_steps=num_steps,
        train_s=0.0,
        standings=standings,
    )


def at(ratio: float, soft: float, step: int = 64) -> dict[str, dict[str, float]]:
    return {str(step): {LOSS_RATIO: ratio, SOFT: soft}}


def complete(soft: float, hard: float, ratios: tuple[float, float], step: int = 64) -> Result:
    """Its soft score and loss ratio at a rung, and what both became."""
    first, last = ratios
    return result("complete", at(first, soft, step), **{HARD: hard, LOSS_RATIO: last})


def ends_of(*results: Result, objective: Objective = OBJECTIVE) -> list[Told]:
    return told([(SETTINGS, one) for one in results], objective)


def test_three_ends_make_a_line_on_which_a_stopped_trial_ends() -> None:
    """Ends are twice the soft score less 0.2, and the loss ratio a tenth below what it was."""
    three = [
        complete(0.2, 0.2, (1.0, 0.9)),
        complete(0.4, 0.6, (1.2, 1.1)),
        complete(0.6, 1.0, (1.4, 1.3)),
    ]
    *_, stopped = ends_of(*three, result("pruned", at(1.1, 0.3)))
    assert stopped.values == pytest.approx((0.4,))
    assert stopped.constraints == pytest.approx({LOSS_RATIO: 0.0})


def test_one_end_stands_in_proportion() -> None:
    _, stopped = ends_of(complete(0.4, 0.2, (1.0, 0.8)), result("pruned", at(1.5, 0.1)))
    assert stopped.values == pytest.approx((0.05,))
    assert stopped.constraints == pytest.approx({LOSS_RATIO: 0.2})


def test_nobody_is_foreseen_to_end_better_than_the_best_there_was() -> None:
    _, stopped = ends_of(complete(0.4, 0.2, (1.0, 0.8)), result("pruned", at(1.0, 0.9)))
    assert stopped.values == (0.2,)


def test_where_less_is_better_nobody_ends_below_the_least() -> None:
    objective = Objective(goals=(Goal("loss", MINIMIZE),), limits=())
    low = result("complete", {"64": {LOSS_RATIO: 1.0, "loss": 2.0}}, loss=1.0)
    first, second = ends_of(
        low,
        result("pruned", {"64": {LOSS_RATIO: 1.0, "loss": 1.0}}),
        result("pruned", {"64": {LOSS_RATIO: 1.0, "loss": 4.0}}),
        objective=objective,
    )[1:]
    assert (first.values, second.values) == ((1.0,), (2.0,))


def test_who_stood_better_never_ends_worse_by_a_line_that_noise_has_turned() -> None:
    """Of three ends that fall where the score rises only the mean is left."""
    three = [complete(0.1 * n, 0.6 - 0.1 * n, (1.0, 1.0)) for n in (1, 2, 3)]
    *_, high, low = ends_of(*three, result("pruned", at(1.0, 0.9)), result("pruned", at(1.0, 0.0)))
    assert high.values == low.values == pytest.approx((0.4,))


def test_it_is_seen_beside_those_that_reached_the_same_step() -> None:
    """Standings of several steps: the last one that it reached counts."""
    far = {**at(1.0, 0.1, 64), **at(1.0, 0.5, 256)}
    both = result("complete", far, **{HARD: 1.0, LOSS_RATIO: 1.0})
    _, early, late = ends_of(
        both,
        result("pruned", at(1.0, 0.05, 64)),
        result("pruned", {**at(1.0, 0.1, 64), **at(1.0, 0.2, 256)}),
    )
    assert (early.values, late.values) == (pytest.approx((0.5,)), pytest.approx((0.4,)))


def test_a_width_is_known_and_what_is_about_the_end_is_as_others_ended() -> None:
    objective = Objective(
        goals=(Goal(HARD, MAXIMIZE),),
        limits=(Limit("feature_coverage", 0.5, AT_LEAST), Limit(NUM_NEURONS, 32.0, AT_MOST)),
    )
    ends = [
        result("complete", at(1.0, 0.4), **{HARD: 0.2, LOSS_RATIO: 1.0, "feature_coverage": share})
        for share in (0.5, 0.25)
    ]
    *_, stopped = ends_of(*ends, result("pruned", at(1.0, 0.1)), objective=objective)
    # Excesses are fractions of the bound: 0 and 0.5 of the coverage's, 64 neurons to 32.
    assert stopped.constraints == pytest.approx({"feature_coverage_at_least": 0.25, NUM_NEURONS: 1})


def test_a_steep_line_is_not_followed_far_beyond_the_ends_that_it_is_made_of() -> None:
    """A hundred times as steep as the scores: 0.15 apart, so no lower than 0.8 - 0.15."""
    three = [
        complete(0.7, 0.8, (1.0, 0.9)),
        complete(0.701, 0.9, (1.0, 0.9)),
        complete(0.702, 0.95, (1.0, 0.9)),
    ]
    *_, stopped = ends_of(*three, result("pruned", at(1.0, 0.3)))
    assert stopped.values == pytest.approx((0.65,))


def test_numbers_of_either_sign_have_no_proportion() -> None:
    """A mean bias of -0.1 that became -0.5 says nothing of one that stands at 0.2."""
    objective = Objective(goals=(Goal("mean_bias", MAXIMIZE),), limits=())
    one = result("complete", {"64": {LOSS_RATIO: 1.0, "mean_bias": -0.1}}, mean_bias=-0.5)
    stopped = result("pruned", {"64": {LOSS_RATIO: 1.0, "mean_bias": -0.2}})
    assert ends_of(one, stopped, objective=objective)[1].values == (-0.5,)


def test_the_width_of_what_diverged_is_known() -> None:
    objective = Objective(
        goals=(Goal(HARD, MAXIMIZE), Goal(NUM_NEURONS, MINIMIZE)),
        limits=(CEILING, Limit(NUM_NEURONS, 128.0, AT_MOST)),
    )
    _, diverged = ends_of(
        complete(0.4, 0.2, (1.0, 0.8)), result("failed", num_steps=12), objective=objective
    )
    assert diverged == Told((0.2, 64.0), {LOSS_RATIO: 1.0, NUM_NEURONS: -0.5})


def test_what_diverged_is_the_worst_there_was_and_far_beyond_every_limit() -> None:
    *_, diverged = ends_of(
        complete(0.4, 0.2, (1.0, 0.8)),
        complete(0.4, 0.7, (1.0, 0.8)),
        result("failed", num_steps=12),
    )
    assert diverged == Told((0.2,), {LOSS_RATIO: 1.0})
    *_, beside_worse = ends_of(complete(0.4, 0.2, (3.0, 3.0)), result("failed", num_steps=12))
    assert beside_worse.constraints == {LOSS_RATIO: 2.0}


@pytest.mark.parametrize(
    ("why", "unseen"),
    [
        ("its workers died", result("failed", num_steps=0)),
        ("an earlier monosweep recorded nothing of it", result("pruned")),
        ("no complete trial is known at that step", result("pruned", at(1.0, 0.4, 32))),
    ],
)
def test_what_cannot_be_foreseen_is_told_without_values(why: str, unseen: Result) -> None:
    known, nothing = ends_of(complete(0.4, 0.2, (1.0, 0.8)), unseen)
    assert known.values == (0.2,), why
    assert nothing == NOTHING, why


def test_nothing_is_foreseen_while_nothing_is_complete() -> None:
    assert ends_of(result("pruned", at(1.0, 0.4)), result("failed")) == [NOTHING, NOTHING]
