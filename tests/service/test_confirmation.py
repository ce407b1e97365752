from collections.abc import Callable
from dataclasses import replace

from service import confirmation
from service.confirmation import Candidate
from service.objective import AT_MOST, MAXIMIZE, Goal, Limit, Objective
from service.trials import Trial

MakeTrial = Callable[..., Trial]
OBJECTIVE = Objective(
    (Goal("monosemantic_per_feature", MAXIMIZE),), (Limit("loss_ratio", 1.02, AT_MOST),)
)
BASELINE_SETTINGS = {"num_neurons": 64, "initial_bias": 0.0}


def searched(make_trial: MakeTrial, number: int, neurons: int, objective: float) -> Trial:
    return make_trial(
        "search",
        number,
        settings={"num_neurons": neurons, "initial_bias": -0.5},
        loss_ratio=1.0,
        loss=1.0,
        monosemantic_per_feature=objective,
    )


def test_the_best_setting_is_moved_to_the_baselines_width_where_the_search_tried_none(
    make_trial: MakeTrial,
) -> None:
    trials = [searched(make_trial, 4, 128, 0.6), searched(make_trial, 2, 96, 0.5)]
    chosen = confirmation.candidates(BASELINE_SETTINGS, trials, OBJECTIVE, 1)
    assert [c.role for c in chosen] == ["baseline", "search/4", "search/4 at 64"]
    assert [c.is_finalist for c in chosen] == [False, True, False]
    assert chosen[2].settings["num_neurons"] == 64
    assert chosen[2].settings["initial_bias"] == -0.5


def test_a_search_trial_of_the_baselines_width_goes_before_a_moved_one(
    make_trial: MakeTrial,
) -> None:
    trials = [searched(make_trial, 4, 128, 0.6), searched(make_trial, 2, 64, 0.5)]
    chosen = confirmation.candidates(BASELINE_SETTINGS, trials, OBJECTIVE, 1)
    assert [c.role for c in chosen] == ["baseline", "search/4", "search/2 at 64"]
    assert [c.is_finalist for c in chosen] == [False, True, False]
    assert chosen[2].settings == trials[1].settings


def test_no_extra_candidate_where_a_finalist_has_the_width(make_trial: MakeTrial) -> None:
    trials = [searched(make_trial, 4, 128, 0.6), searched(make_trial, 2, 64, 0.5)]
    chosen = confirmation.candidates(BASELINE_SETTINGS, trials, OBJECTIVE, 2)
    assert [c.role for c in chosen] == ["baseline", "search/4", "search/2"]


def test_none_of_a_width_that_a_limit_forbids(make_trial: MakeTrial) -> None:
    narrow = Limit("num_neurons", 48.0, AT_MOST)
    objective = replace(OBJECTIVE, limits=(*OBJECTIVE.limits, narrow))
    trials = [searched(make_trial, 4, 48, 0.6), searched(make_trial, 2, 64, 0.9)]
    chosen = confirmation.candidates(BASELINE_SETTINGS, trials, objective, 2)
    assert [c.role for c in chosen] == ["baseline", "search/4"]


def test_without_a_feasible_trial_there_is_nobody_to_confirm(make_trial: MakeTrial) -> None:
    failed = make_trial("search", 0, state="failed")
    assert confirmation.candidates(BASELINE_SETTINGS, [failed], OBJECTIVE, 2) == []


def test_points_are_every_candidate_on_every_seed() -> None:
    chosen = [
        Candidate(role="baseline", settings={"num_neurons": 1}, is_finalist=False),
        Candidate(role="search/4", settings={"num_neurons": 2}, is_finalist=True),
    ]
    points = confirmation.points(chosen, (5, 6))
    assert [(p.role, p.seeds) for p in points] == [
        ("baseline", (5,)),
        ("baseline", (6,)),
        ("search/4", (5,)),
        ("search/4", (6,)),
    ]
