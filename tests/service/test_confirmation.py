import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from service import confirmation
from service.confirmation import Candidate
from service.objective import AT_LEAST, AT_MOST, MAXIMIZE, MINIMIZE, Goal, Limit, Objective
from service.trials import Trial

MakeTrial = Callable[..., Trial]
OBJECTIVE = Objective(
    (Goal("monosemantic_per_feature", MAXIMIZE),), (Limit("loss_ratio", 1.02, AT_MOST),)
)
BASELINE_SETTINGS = {"num_neurons": 64, "initial_bias": 0.0}


def searched(
    make_trial: MakeTrial, number: int, neurons: int, objective: float, **numbers: float
) -> Trial:
    return make_trial(
        "search",
        number,
        settings={"num_neurons": neurons, "initial_bias": -0.5},
        **{"loss_ratio": 1.0, "loss": 1.0, "monosemantic_per_feature": objective, **numbers},
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


# The best enqueued point. Trials 0 to 2 are enqueued, and search/5 is the only finalist unless a
# test says otherwise.


def unfinished(
    make_trial: MakeTrial, number: int, neurons: int, state: str, num_steps: int
) -> Trial:
    trial = make_trial(
        "search", number, state=state, settings={"num_neurons": neurons, "initial_bias": -0.5}
    )
    assert trial.result is not None
    return replace(trial, result=replace(trial.result, num_steps=num_steps))


def roles(
    trials: Sequence[Trial],
    objective: Objective = OBJECTIVE,
    *,
    num_finalists: int = 1,
    num_enqueued: int = 3,
) -> list[str]:
    """Those of the candidates; a star where one is the best enqueued."""
    chosen = confirmation.candidates(
        BASELINE_SETTINGS, trials, objective, num_finalists, num_enqueued
    )
    assert all(not one.is_finalist or " " not in one.role for one in chosen)
    assert all(one.trial_id == one.role.split()[0] for one in chosen)
    return [f"{one.role}{'*' * one.is_enqueued}" for one in chosen]


def test_the_best_enqueued_is_confirmed_beside_the_finalists(make_trial: MakeTrial) -> None:
    best = searched(make_trial, 5, 64, 0.6)
    trials = [
        searched(make_trial, 0, 32, 0.3),
        searched(make_trial, 1, 128, 0.4),
        searched(make_trial, 2, 160, 0.9, loss_ratio=1.03),  # beyond the ceiling
        searched(make_trial, 4, 96, 0.5),  # not enqueued
        best,
    ]
    assert roles(trials) == ["baseline", "search/5", "search/1 as enqueued*"]
    *_, last = confirmation.candidates(BASELINE_SETTINGS, trials, OBJECTIVE, 1, 3)
    assert (last.is_finalist, last.settings) == (False, trials[1].settings)
    assert roles(trials, num_finalists=3) == ["baseline", "search/5", "search/4", "search/1*"]
    assert roles(trials, num_enqueued=1)[-1] == "search/0 as enqueued*"
    assert roles(trials, num_enqueued=0) == ["baseline", "search/5"]
    # Nobody to be beside.
    assert roles(trials[2:3]) == []


def test_a_finalist_that_is_the_best_enqueued_is_confirmed_once(make_trial: MakeTrial) -> None:
    first, second = searched(make_trial, 0, 64, 0.6), searched(make_trial, 1, 96, 0.5)
    assert roles([first, second]) == ["baseline", "search/0*"]
    # The same point was asked for twice, and was stopped early the first time.
    stopped = unfinished(make_trial, 1, 64, "pruned", 128)
    assert roles([stopped, searched(make_trial, 5, 64, 0.6)]) == ["baseline", "search/5*"]


def test_the_least_infeasible_where_no_enqueued_one_is_feasible(make_trial: MakeTrial) -> None:
    """Beyond by 0.02 + 0.4, by 0.1 + 0.1, and by 0.3; to spare in one makes up for nothing."""
    limits = (*OBJECTIVE.limits, Limit("feature_coverage", 0.5, AT_LEAST))
    objective = replace(OBJECTIVE, limits=limits)
    trials = [
        searched(make_trial, 0, 32, 0.9, loss_ratio=1.04, feature_coverage=0.3),
        searched(make_trial, 1, 96, 0.1, loss_ratio=1.12, feature_coverage=0.45),
        searched(make_trial, 2, 128, 0.8, loss_ratio=1.32, feature_coverage=0.9),
        searched(make_trial, 5, 64, 0.2, feature_coverage=0.5),
    ]
    beside = ["baseline", "search/5"]
    assert roles(trials, objective) == [*beside, "search/1 as enqueued*"]
    # One whose objective is no number is behind the others.
    unknown = searched(make_trial, 1, 96, math.nan, feature_coverage=0.5)
    others = [trials[0], unknown, *trials[2:]]
    assert roles(others, objective) == [*beside, "search/2 as enqueued*"]
    # Stopped early, one is behind all that were trained to their end.
    stopped = unfinished(make_trial, 1, 96, "pruned", 255)
    assert roles([stopped, *trials[2:]], objective) == [*beside, "search/2 as enqueued*"]


def test_the_one_that_came_farthest_where_none_ended_complete(make_trial: MakeTrial) -> None:
    trials = [
        unfinished(make_trial, 0, 32, "pruned", 64),
        unfinished(make_trial, 1, 96, "pruned", 128),
        unfinished(make_trial, 2, 128, "pruned", 128),
        unfinished(make_trial, 3, 128, "failed", 255),
        searched(make_trial, 5, 64, 0.2),
    ]
    assert roles(trials, num_enqueued=4) == ["baseline", "search/5", "search/1 as enqueued*"]


def test_of_those_that_came_as_far_the_one_that_early_stopping_ranked_first(
    make_trial: MakeTrial,
) -> None:
    """Within the ceiling by what they are compared by, beyond it by the loss."""

    def stopped(number: int, neurons: int, ratio: float, soft: float) -> Trial:
        trial = unfinished(make_trial, number, neurons, "pruned", 128)
        assert trial.result is not None
        standings = {
            "64": {"loss_ratio": 1.0, "concentration_per_feature": 1.0 - soft},
            "128": {"loss_ratio": ratio, "concentration_per_feature": soft},
        }
        return replace(trial, result=replace(trial.result, standings=standings))

    complete = searched(make_trial, 5, 64, 0.2)
    trials = [stopped(0, 32, 1.5, 0.9), stopped(1, 96, 1.0, 0.3), stopped(2, 128, 0.9, 0.4)]
    expected = ["baseline", "search/5", "search/2 as enqueued*"]
    assert roles([*trials, complete]) == expected
    beyond = [stopped(0, 32, 1.5, 0.9), stopped(1, 96, 1.4, 0.3), stopped(2, 128, 1.6, 0.4)]
    assert roles([*beyond, complete])[-1] == "search/1 as enqueued*"


def test_none_is_added_where_every_enqueued_one_failed(make_trial: MakeTrial) -> None:
    trials = [unfinished(make_trial, number, 96, "failed", 255) for number in range(3)]
    assert roles([*trials, searched(make_trial, 5, 64, 0.2)]) == ["baseline", "search/5"]


def test_nobody_is_confirmed_as_enqueued_and_for_the_baselines_width(make_trial: MakeTrial) -> None:
    wide, own = searched(make_trial, 5, 128, 0.6), searched(make_trial, 1, 64, 0.3)
    assert roles([own, wide]) == ["baseline", "search/5", "search/1 as enqueued*"]
    better = replace(searched(make_trial, 4, 64, 0.4), settings={**own.settings, "l1": 0.5})
    assert roles([own, better, wide]) == [
        "baseline",
        "search/5",
        "search/4 at 64",
        "search/1 as enqueued*",
    ]


def test_of_several_objectives_the_first_says_which_enqueued_one_is_best(
    make_trial: MakeTrial,
) -> None:
    both = Objective((Goal("loss", MINIMIZE), Goal("monosemantic_per_feature", MAXIMIZE)), ())
    trials = [
        searched(make_trial, 0, 32, 0.9, loss=1.2),
        searched(make_trial, 1, 96, 0.1, loss=1.1),
        searched(make_trial, 5, 64, 0.9, loss=1.0),
    ]
    assert roles(trials, both) == ["baseline", "search/5", "search/1 as enqueued*"]


def test_who_cannot_win_was_never_a_finalist(make_trial: MakeTrial) -> None:
    named = ("baseline", "search/5", "search/4", "search/4 at 64", "search/1 as enqueued")
    ended = [make_trial("confirmation", n, role=role, loss=1.0) for n, role in enumerate(named)]
    waiting = make_trial("confirmation", 9, role="search/7", state="waiting")
    assert confirmation.finalists_ever([*ended, waiting]) == {"search/5", "search/4"}
