from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.objective import (
    FAR_BEYOND,
    baseline_losses,
    constraint,
    is_feasible,
    loss_ratio,
    ranked,
)
from service.trials import Result, Trial


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


@pytest.mark.parametrize(
    ("ratio", "feasible"), [(1.02, True), (1.0200001, False), (0.5, True), (None, False)]
)
def test_the_ceiling_itself_is_feasible(
    make_trial: Callable[..., Trial], ratio: float | None, feasible: bool
) -> None:
    trial = make_trial("search", 0, loss_ratio=ratio, loss=1.0)
    assert trial.result is not None
    assert is_feasible(trial.result, 0.02) is feasible


def test_a_trial_without_a_ratio_is_far_beyond_the_ceiling(
    make_trial: Callable[..., Trial],
) -> None:
    trial = make_trial("search", 0, state="failed")
    assert trial.result is not None
    assert constraint(trial.result, 0.02) == FAR_BEYOND


def test_ties_go_to_fewer_neurons_then_to_the_lower_loss_ratio_then_to_the_earlier_trial(
    make_trial: Callable[..., Trial],
) -> None:
    def trial(number: int, neurons: int, coverage: float, loss_ratio: float = 1.0) -> Trial:
        return make_trial(
            "search",
            number,
            settings={"num_neurons": neurons},
            loss_ratio=loss_ratio,
            loss=1.0,
            feature_coverage=coverage,
        )

    trials = [trial(0, 128, 0.5), trial(1, 64, 0.5), trial(2, 64, 0.5), trial(3, 256, 0.6)]
    trials.append(trial(4, 64, 0.5, loss_ratio=0.9))
    assert [t.number for t in ranked(trials, "feature_coverage", 0.02)] == [3, 4, 1, 2, 0]


histories = st.lists(
    st.tuples(
        st.sampled_from(["complete", "pruned", "failed", "running", "waiting"]),
        st.one_of(st.none(), st.floats(0.1, 10.0)),
        st.floats(0.0, 2.0),
    ),
    max_size=20,
)


@given(histories)
def test_only_complete_trials_within_the_ceiling_can_become_best(
    history: list[tuple[Any, float | None, float]],
) -> None:
    trials = [
        Trial(
            phase="search",
            number=number,
            settings={"num_neurons": 64},
            varied=(),
            seeds=(0,),
            cohort_id="search-0",
            state=state,
            result=None
            if state in ("running", "waiting")
            else Result(
                trial_id=f"search/{number}",
                attempt=1,
                state=state,
                metrics={"feature_coverage": value},
                loss_ratio=ratio,
                num_steps=1,
                train_s=0.0,
            ),
        )
        for number, (state, ratio, value) in enumerate(history)
    ]
    for trial in ranked(trials, "feature_coverage", 0.1):
        assert trial.result is not None
        assert trial.state == "complete"
        assert trial.result.loss_ratio is not None
        assert trial.result.loss_ratio <= 1.1
