"""Who is stopped at a rung, worked out by hand."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.early_stopping import (
    EarlyStopping,
    Standing,
    first_step,
    num_kept,
    rungs,
    share_trained,
    steps_trained,
)
from service.objective import AT_LEAST, AT_MOST, MAXIMIZE, MINIMIZE, Goal, Limit, Objective
from service.spec import Spec
from service.trials import Trial
from trainers import Evaluation, Record

MakeSpec = Callable[..., Spec]
MakeTrial = Callable[..., Trial]

STOPPING = EarlyStopping(
    reduction=2,
    objective=Objective(
        (Goal("feature_coverage", MAXIMIZE),), (Limit("loss_ratio", 1.1, AT_MOST),)
    ),
    baseline={4: {0: 2.0, 1: 4.0}, 8: {0: 1.0, 1: 2.0}},
)


def standing(number: int, loss_ratio: float, objective: float) -> Standing:
    return Standing(number=number, loss_ratio=loss_ratio, num_neurons=64, objective=objective)


@pytest.mark.parametrize(
    ("standings", "numbers"),
    [
        # Within the margin the objective decides, however the loss; beyond it the loss alone.
        ([(0, 1.0, 0.1), (1, 1.09, 0.2), (2, 0.5, 0.15)], [1, 2, 0]),
        ([(0, 1.3, 0.9), (1, 1.2, 0.1), (2, 1.25, 0.5)], [1, 2, 0]),
        ([(0, 1.2, 0.9), (1, 1.05, 0.0)], [1, 0]),  # feasible with nothing before infeasible
        ([(0, 1.1, 0.0), (1, 1.2, 0.9)], [0, 1]),  # at the margin is within it
        # Ties go to the earlier trial.
        ([(2, 1.0, 0.3), (0, 0.9, 0.3), (1, 0.8, 0.3)], [0, 1, 2]),
        ([(3, 1.5, 0.1), (1, 1.5, 0.2)], [1, 3]),
        ([], []),
    ],
)
def test_the_ranking(standings: list[tuple[int, float, float]], numbers: list[int]) -> None:
    found = STOPPING.ranked([standing(*one) for one in standings])
    assert [one.number for one in found] == numbers


@pytest.mark.parametrize(
    ("num_trials", "reduction", "kept"),
    [(1, 2, 1), (2, 2, 1), (3, 2, 2), (4, 2, 2), (5, 4, 2), (4, 4, 1), (3, 8, 1), (0, 2, 0)],
)
def test_one_in_so_many_goes_on_rounded_up(num_trials: int, reduction: int, kept: int) -> None:
    assert num_kept(num_trials, reduction) == kept


def record(losses: Mapping[int, float], coverage: float = 0.5, **ended: int) -> Record:
    """A network with these losses at the steps of its curve."""
    points = [(step, evaluation(loss, coverage)) for step, loss in losses.items()]
    return replace(Record(points=points), **ended)  # type: ignore[arg-type]


def evaluation(loss: float, coverage: float) -> Evaluation:
    return Evaluation(
        loss=loss,
        monosemantic_per_feature=0.0,
        monosemantic_per_neuron=0.0,
        feature_coverage=coverage,
        num_dead=0,
        mean_bias=0.0,
        concentration_per_feature=0.0,
        monosemantic_per_feature_published=0.0,
    )


def trials(make_trial: MakeTrial, num: int, seeds: tuple[int, ...] = (0,)) -> list[Trial]:
    return [make_trial("search", n, seeds=seeds, state="running") for n in range(num)]


def test_losses_are_compared_with_the_baselines_at_the_same_step(make_trial: MakeTrial) -> None:
    """At step 4 ratios of 1.0 and 1.5, at step 8 of 2.0 and 1.2: the order turns round."""
    found = [record({4: 2.0, 8: 2.0}), record({4: 3.0, 8: 1.2})]
    assert STOPPING.stopped(trials(make_trial, 2), found, 4) == {1}
    assert STOPPING.stopped(trials(make_trial, 2), found, 8) == {0}


def test_replicates_are_averaged_each_against_its_own_seed(make_trial: MakeTrial) -> None:
    two = trials(make_trial, 2, seeds=(0, 1))
    # Ratios of 1.2 and 0.9, mean 1.05, within the margin; 1.0 and 1.25, mean 1.125, beyond it.
    found = [
        record({4: 2.4}, 0.1),
        record({4: 3.6}, 0.1),
        record({4: 2.0}, 0.9),
        record({4: 5.0}, 0.9),
    ]
    assert STOPPING.stopped(two, found, 4) == {1}
    assert STOPPING.reason(two, found, 1, 4) == "stopped at step 4: rank 2 of 2 (loss ratio 1.125)"


def test_the_reason_names_what_decided(make_trial: MakeTrial) -> None:
    three = trials(make_trial, 3)
    found = [record({8: 1.0}, 0.25), record({8: 1.05}, 0.5), record({8: 1.3}, 0.75)]
    assert STOPPING.reason(three, found, 0, 8) == (
        "stopped at step 8: rank 2 of 3 (loss ratio 1.000, feature coverage 0.250)"
    )
    assert (
        STOPPING.reason(three, found, 2, 8) == "stopped at step 8: rank 3 of 3 (loss ratio 1.300)"
    )


def test_what_moves_before_the_count_of_monosemantic_neurons_stands_for_it(
    make_trial: MakeTrial,
) -> None:
    counted = replace(
        STOPPING, objective=Objective((Goal("monosemantic_per_feature", MAXIMIZE),), ())
    )
    found = [record({4: 2.0}), record({4: 2.0})]
    for one, count, soft in zip(found, (0.2, 0.1), (0.5, 0.6), strict=True):
        one.points = [
            (step, replace(point, monosemantic_per_feature=count, concentration_per_feature=soft))
            for step, point in one.points
        ]
    assert counted.stopped(trials(make_trial, 2), found, 4) == {0}
    assert counted.reason(trials(make_trial, 2), found, 0, 4) == (
        "stopped at step 4: rank 2 of 2 (loss ratio 1.000, concentration per feature 0.500)"
    )


@pytest.mark.parametrize(
    ("num_steps", "step"), [(8192, 2048), (8191, 1024), (1000, 128), (4, 1), (2, 1)]
)
def test_auto_begins_within_a_quarter_of_training(num_steps: int, step: int) -> None:
    assert first_step("auto", num_steps) == step
    assert first_step(512, num_steps) == 512


def test_less_of_a_minimized_number_is_kept(make_trial: MakeTrial) -> None:
    fewest = replace(STOPPING, objective=Objective((Goal("num_dead", MINIMIZE),), ()))
    found = [record({4: 2.0}), record({4: 2.0})]
    for one, dead in zip(found, (3, 1), strict=True):
        one.points = [(step, replace(point, num_dead=dead)) for step, point in one.points]
    assert fewest.stopped(trials(make_trial, 2), found, 4) == {0}
    ratio = replace(STOPPING, objective=Objective((Goal("loss_ratio", MINIMIZE),), ()))
    found = [record({4: 2.0}), record({4: 1.9})]
    assert ratio.stopped(trials(make_trial, 2), found, 4) == {0}
    assert ratio.reason(trials(make_trial, 2), found, 0, 4) == (
        "stopped at step 4: rank 2 of 2 (loss ratio 1.000)"
    )


def test_of_the_limits_those_that_are_known_early_count(make_trial: MakeTrial) -> None:
    """Too wide is too wide from the start; coverage may still come."""
    limits = (
        Limit("feature_coverage", 0.9, AT_LEAST),
        Limit("loss_ratio", 1.1, AT_MOST),
        Limit("num_neurons", 64.0, AT_MOST),
    )
    limited = replace(STOPPING, objective=replace(STOPPING.objective, limits=limits))
    wide, narrow = (
        make_trial("search", n, state="running", settings={"num_neurons": width})
        for n, width in enumerate((80, 64))
    )
    found = [record({4: 2.0}, 0.8), record({4: 2.0}, 0.1)]
    assert limited.stopped([wide, narrow], found, 4) == {0}
    assert limited.reason([wide, narrow], found, 0, 4) == (
        "stopped at step 4: rank 2 of 2 (loss ratio 1.000, 80 neurons, at most 64)"
    )
    # A quarter too wide goes before a loss that is three tenths too high.
    assert limited.stopped([wide, narrow], [found[0], record({4: 2.8}, 0.9)], 4) == {1}


def test_only_those_still_in_training_are_counted(make_trial: MakeTrial) -> None:
    """Of four one was stopped at the rung before, one diverged on the way: one of two goes on."""
    found = [
        record({4: 9.0}, dropped_at=4),
        record({4: 1.0, 8: 1.0}, diverged_at=8),
        record({4: 2.0, 8: 1.2}),
        record({4: 2.0, 8: 1.3}),
    ]
    assert STOPPING.stopped(trials(make_trial, 4), found, 8) == {0, 1, 3}
    # At the rung before all four were there, the one that diverged later too.
    assert STOPPING.stopped(trials(make_trial, 4), found, 4) == {0, 3}


def test_a_loss_that_is_not_finite_is_left_to_be_found_out(make_trial: MakeTrial) -> None:
    """The curve has no point there: of the two others one goes on, and so does it."""
    found = [record({8: 1.2}), record({4: 1.0}), record({8: 1.3})]
    assert STOPPING.stopped(trials(make_trial, 3), found, 8) == {2}


def test_a_trial_with_a_diverged_replicate_does_not_go_on(make_trial: MakeTrial) -> None:
    two = trials(make_trial, 2, seeds=(0, 1))
    healthy = [record({8: 5.0}), record({8: 5.0})]
    doomed = [record({8: 1.0}), record({4: 1.0}, diverged_at=6)]
    assert STOPPING.stopped(two, [*doomed, *healthy], 8) == {0}


def test_a_lone_trial_goes_on_whatever_its_loss(make_trial: MakeTrial) -> None:
    assert STOPPING.stopped(trials(make_trial, 1), [record({4: 1e9})], 4) == set()


@given(
    losses=st.lists(st.floats(0.1, 10.0), min_size=1, max_size=8),
    reduction=st.sampled_from([2, 4, 8]),
    data=st.data(),
)
def test_deciding_again_after_the_drop_decides_the_same(
    make_trial: MakeTrial, losses: list[float], reduction: int, data: st.DataObject
) -> None:
    stopping = replace(STOPPING, reduction=reduction)
    some = trials(make_trial, len(losses))
    found = [
        record({4: loss}, data.draw(st.sampled_from([0.0, 0.5])), **end)
        for loss in losses
        for end in [data.draw(st.sampled_from([{}, {}, {"diverged_at": 3}]))]
    ]
    stopped = stopping.stopped(some, found, 4)
    for trial, one in zip(some, found, strict=True):
        if trial.number in stopped and one.diverged_at is None:
            one.dropped_at = 4
    assert stopping.stopped(some, found, 4) == stopped


def with_stopping(make_spec: MakeSpec, written: str) -> Spec:
    compute = "compute: {cohort_size: 2, max_concurrent: 1}"
    return make_spec((compute, f"early_stopping: {written}\n{compute}"))


@pytest.mark.parametrize(
    ("written", "steps"),
    [
        ("null", ()),
        ("{first_step: 32, reduction: 2}", (32, 64, 128)),
        ("{}", (64,)),  # a quarter of 256 steps; four times as many are all
        ("{first_step: 16, reduction: 4}", (16, 64)),  # the last step, 256, is no rung
        ("{first_step: 128}", (128,)),
    ],
)
def test_rungs_are_steps_of_the_curve_below_the_last(
    make_spec: MakeSpec, written: str, steps: tuple[int, ...]
) -> None:
    assert rungs(with_stopping(make_spec, written)) == steps


@pytest.mark.parametrize(
    ("step", "steps"),
    [
        (0, 0),
        (10, 50),
        (32, 160),  # five trials so far
        (64, 256),  # three of them, 32 steps more
        (128, 384),  # two
        (256, 512),  # one
    ],
)
def test_the_steps_of_a_cohort_of_five(make_spec: MakeSpec, step: int, steps: int) -> None:
    assert (
        steps_trained(with_stopping(make_spec, "{first_step: 32, reduction: 2}"), 5, step) == steps
    )


def test_the_share_that_is_trained(make_spec: MakeSpec) -> None:
    spec = with_stopping(make_spec, "{first_step: 32, reduction: 2}")
    assert share_trained(spec, 5) == 512 / (5 * 256)
    assert share_trained(spec, 1) == 1.0
    assert share_trained(with_stopping(make_spec, "null"), 5) == 1.0
