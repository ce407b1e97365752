import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.objective import (
    AT_LEAST,
    AT_MOST,
    FAR_BEYOND,
    MAXIMIZE,
    MINIMIZE,
    Goal,
    Limit,
    Objective,
    baseline_losses,
    loss_ratio,
    objective_of,
)
from service.spec import Spec
from service.trials import Result, Told, Trial

MakeSpec = Callable[..., Spec]

SETTINGS: dict[str, float | int | str] = {"num_neurons": 96}
CEILING = Limit("loss_ratio", 1.02, AT_MOST)
ONE = Objective((Goal("x", MAXIMIZE),), (CEILING,))


def result(state: Any = "complete", loss_ratio: float | None = None, **metrics: float) -> Result:
    return Result(
        trial_id="search/0",
        attempt=1,
        state=state,
        metrics=metrics,
        loss_ratio=loss_ratio,
        num_steps=1,
        train_s=2.5,
    )


def objective(make_spec: MakeSpec, written: str) -> Objective:
    old = "objective: {maximize: monosemantic_per_feature, loss_margin: 0.5}"
    return objective_of(make_spec((old, f"objective: {written}")))


def test_the_file_says_what_a_sweep_is_after(make_spec: MakeSpec) -> None:
    assert objective(make_spec, "{}") == Objective(
        (Goal("monosemantic_per_feature", MAXIMIZE),), (CEILING,)
    )
    found = objective(
        make_spec,
        "{minimize: [num_neurons, loss], maximize: concentration_per_feature, loss_margin: null, "
        "at_most: {train_s: 60, mean_bias: 0, loss_ratio: 1.1}, at_least: {mean_bias: -1}}",
    )
    assert found.goals == (
        Goal("concentration_per_feature", MAXIMIZE),
        Goal("num_neurons", MINIMIZE),
        Goal("loss", MINIMIZE),
    )
    assert found.directions == ("maximize", "minimize", "minimize")
    # A number with a limit on either side has two constraints; all are in the order of their keys.
    assert [(limit.key, limit.bound) for limit in found.limits] == [
        ("loss_ratio", 1.1),
        ("mean_bias", 0.0),
        ("mean_bias_at_least", -1.0),
        ("train_s", 60.0),
    ]
    assert found.max_loss_ratio == 1.1


def test_without_a_margin_there_is_no_ceiling(make_spec: MakeSpec) -> None:
    found = objective(make_spec, "{minimize: loss, loss_margin: null}")
    assert (found.limits, found.max_loss_ratio) == ((), None)
    assert found.is_feasible(result("complete", 7.0, loss=7.0), SETTINGS)
    assert found.told(result("complete", 7.0, loss=7.0), SETTINGS) == Told((7.0,), {})


def test_any_reported_number_can_be_an_objective() -> None:
    names = ("x", "loss_ratio", "num_neurons", "train_s")
    found = Objective(tuple(Goal(name, MINIMIZE) for name in names), ())
    assert found.values(result("complete", 1.5, x=0.25), SETTINGS) == (0.25, 1.5, 96.0, 2.5)


@pytest.mark.parametrize(
    ("limit", "value", "excess"),
    [
        (CEILING, 1.0, -0.02),  # the loss ratio as it is
        (CEILING, 1.02, 0.0),
        (Limit("num_neurons", 512.0, AT_MOST), 640.0, 0.25),  # a quarter too wide
        (Limit("num_neurons", 512.0, AT_LEAST), 384.0, 0.25),
        (Limit("num_neurons", 512.0, AT_LEAST), 640.0, -0.25),
        (Limit("mean_bias", -0.5, AT_MOST), -0.25, 0.5),
        (Limit("num_dead", 0.0, AT_MOST), 3.0, 3.0),  # no fraction of nothing
        (CEILING, None, FAR_BEYOND),
    ],
)
def test_an_excess_is_a_fraction_of_the_bound(
    limit: Limit, value: float | None, excess: float
) -> None:
    assert limit.excess(value) == pytest.approx(excess)


@pytest.mark.parametrize(
    ("ratio", "feasible"), [(1.02, True), (1.0200001, False), (0.5, True), (None, False)]
)
def test_the_ceiling_itself_is_feasible(ratio: float | None, feasible: bool) -> None:
    assert ONE.is_feasible(result("complete", ratio, x=0.5), SETTINGS) is feasible


def test_every_limit_must_be_kept() -> None:
    both = replace(ONE, limits=(CEILING, Limit("num_neurons", 64.0, AT_MOST)))
    assert both.is_feasible(result("complete", 1.0, x=0.5), {"num_neurons": 64})
    assert not both.is_feasible(result("complete", 1.0, x=0.5), {"num_neurons": 65})
    assert not both.is_feasible(result("complete", 1.1, x=0.5), {"num_neurons": 64})
    assert [both.allows_width(width) for width in (64, 65)] == [True, False]
    assert ONE.allows_width(65)


@pytest.mark.parametrize(("ratio", "excess"), [(1.05, 0.03), (1.01, -0.01), (0.5, -0.52)])
def test_a_complete_trial_is_told_with_value_and_constraint_feasible_at_or_below_zero(
    ratio: float, excess: float
) -> None:
    told = ONE.told(result("complete", ratio, x=0.7), SETTINGS)
    assert told.values == (0.7,)
    assert told.constraints == {"loss_ratio": pytest.approx(excess)}


def test_every_constraint_is_told_of_every_complete_trial_in_one_order() -> None:
    limits = (CEILING, Limit("num_neurons", 64.0, AT_MOST), Limit("y", 0.5, AT_LEAST))
    found = replace(ONE, limits=limits).told(result("complete", 1.0, x=1), SETTINGS)
    assert list(found.constraints) == ["loss_ratio", "num_neurons", "y_at_least"]
    assert found.constraints["num_neurons"] == 0.5
    assert found.constraints["y_at_least"] == FAR_BEYOND  # it has no such number


def test_whole_numbers_are_told_as_floats() -> None:
    two = replace(ONE, goals=(*ONE.goals, Goal("num_neurons", MINIMIZE)))
    values = two.told(result("complete", 1.0, x=1), SETTINGS).values
    assert values is not None
    assert [type(value) for value in values] == [float, float]


@pytest.mark.parametrize("found", [result("failed"), result("complete", 1.0, x=float("nan"))])
def test_a_diverged_trial_is_told_far_beyond_every_limit_and_without_values(found: Result) -> None:
    limits = (CEILING, Limit("num_neurons", 512.0, AT_MOST))  # which its width keeps
    told = replace(ONE, limits=limits).told(found, SETTINGS)
    assert told == Told(None, {"loss_ratio": FAR_BEYOND, "num_neurons": FAR_BEYOND})


def test_a_trial_whose_workers_died_is_told_without_both_since_its_settings_are_not_to_blame() -> (
    None
):
    assert ONE.told(replace(result("failed"), num_steps=0), SETTINGS) == Told(None, {})


def test_a_trial_stopped_early_is_told_without_values_and_constraints() -> None:
    assert ONE.told(result("pruned"), SETTINGS) == Told(None, {})


def test_in_confirmation_the_loss_stands_in_for_the_ratio_to_a_baseline_that_may_run() -> None:
    found = Objective((Goal("loss_ratio", MINIMIZE), Goal("x", MAXIMIZE)), (CEILING,))
    assert found.told_alone(result("complete", x=0.5, loss=3.0), SETTINGS) == Told((3.0, 0.5), {})
    assert found.told_alone(result("failed"), SETTINGS) == Told(None, {})


numbers = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))


@given(
    state=st.sampled_from(["complete", "pruned", "failed"]),
    ratio=numbers,
    x=numbers,
    width=st.integers(1, 200),
    train_s=st.floats(allow_nan=True),
)
def test_nothing_that_is_not_finite_is_told_or_feasible(
    state: Any, ratio: float | None, x: float | None, width: int, train_s: float
) -> None:
    objective = Objective(
        (Goal("x", MAXIMIZE), Goal("train_s", MINIMIZE)),
        (CEILING, Limit("num_neurons", 100.0, AT_MOST), Limit("x", 0.0, AT_LEAST)),
    )
    found = replace(
        result(state, ratio, **({} if x is None else {"x": x})), train_s=train_s, state=state
    )
    told = objective.told(found, {"num_neurons": width})
    assert all(map(math.isfinite, told.values or ()))
    assert all(map(math.isfinite, told.constraints.values()))
    assert (told.values is None) or len(told.constraints) == 3
    if objective.is_feasible(found, {"num_neurons": width}):
        assert state == "complete"
        assert ratio is not None
        assert ratio <= 1.02
        assert x is not None
        assert x >= 0.0
        assert width <= 100
        assert math.isfinite(train_s)


def test_loss_ratio_is_the_mean_of_ratios_not_the_ratio_of_means() -> None:
    replicates = [{"loss": 1.0}, {"loss": 4.0}]
    # 1/1 and 4/2: the mean of ratios is 1.5, the ratio of means would be 5/3.
    assert loss_ratio(replicates, (7, 8), {7: 1.0, 8: 2.0}) == 1.5


def test_loss_ratio_uses_shared_replicates_only() -> None:
    assert loss_ratio([{"loss": 1.0}, {"loss": 9.0}], (7, 8), {7: 2.0, 9: 1.0}) == 0.5
    assert loss_ratio([{"loss": 1.0}], (1,), {2: 1.0}) is None


def test_baseline_losses_are_those_of_complete_trials_of_the_rate(
    make_trial: Callable[..., Trial],
) -> None:
    trials = [
        make_trial("baseline", 0, seeds=(0,), loss=1.0),
        make_trial("baseline", 1, seeds=(1,), loss=2.0, settings={"learning_rate": 0.5}),
        make_trial("baseline", 2, seeds=(2,), state="failed"),
        make_trial("baseline", 3, seeds=(3,), state="running"),
    ]
    assert baseline_losses(trials, 0.02) == {0: 1.0}
