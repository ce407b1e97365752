from collections.abc import Callable, Mapping

import pytest

from service import confirmation
from service.confirmation import Candidate, Finding
from service.trials import Trial

MakeTrial = Callable[..., Trial]
OBJECTIVE = "monosemantic_per_feature"
BASELINE_SETTINGS = {"num_neurons": 64, "initial_bias": 0.0}


def searched(make_trial: MakeTrial, number: int, neurons: int) -> Trial:
    return make_trial(
        "search", number, settings={"num_neurons": neurons, "initial_bias": -0.5}, loss=1.0
    )


def test_the_best_setting_is_moved_to_the_baselines_width_where_the_search_tried_none(
    make_trial: MakeTrial,
) -> None:
    ranking = [searched(make_trial, 4, 128), searched(make_trial, 2, 96)]
    chosen = confirmation.candidates(BASELINE_SETTINGS, ranking, 1)
    assert [c.role for c in chosen] == ["baseline", "search/4", "search/4 at 64"]
    assert [c.is_finalist for c in chosen] == [False, True, False]
    assert chosen[2].settings["num_neurons"] == 64
    assert chosen[2].settings["initial_bias"] == -0.5


def test_a_search_trial_of_the_baselines_width_goes_before_a_moved_one(
    make_trial: MakeTrial,
) -> None:
    ranking = [searched(make_trial, 4, 128), searched(make_trial, 2, 64)]
    chosen = confirmation.candidates(BASELINE_SETTINGS, ranking, 1)
    assert [c.role for c in chosen] == ["baseline", "search/4", "search/2 at 64"]
    assert [c.is_finalist for c in chosen] == [False, True, False]
    assert chosen[2].settings == ranking[1].settings


def test_no_extra_candidate_where_a_finalist_has_the_width(make_trial: MakeTrial) -> None:
    ranking = [searched(make_trial, 4, 128), searched(make_trial, 2, 64)]
    chosen = confirmation.candidates(BASELINE_SETTINGS, ranking, 2)
    assert [c.role for c in chosen] == ["baseline", "search/4", "search/2"]


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


def found(
    make_trial: MakeTrial,
    roles: Mapping[str, list[tuple[float, float]]],
    *,
    neurons: Mapping[str, int] | None = None,
    failed: tuple[str, ...] = (),
) -> list[Finding]:
    """Findings of candidates with these (loss, objective) pairs, a pair a seed."""
    widths = neurons or {}
    chosen = [
        Candidate(
            role=role,
            settings={"num_neurons": widths.get(role, 64)},
            is_finalist=role != "baseline",
        )
        for role in roles
    ]
    trials = [
        make_trial(
            "confirmation",
            0,
            role=role,
            seeds=(seed,),
            state="failed" if role in failed and seed == 0 else "complete",
            reason="diverged" if role in failed and seed == 0 else None,
            loss=loss,
            monosemantic_per_feature=objective,
            monosemantic_per_neuron=objective,
            feature_coverage=objective,
        )
        for role, pairs in roles.items()
        for seed, (loss, objective) in enumerate(pairs)
    ]
    return confirmation.findings(chosen, trials, objective=OBJECTIVE, loss_margin=0.02)


STEADY = [(1.00, 0.10), (1.02, 0.12), (0.98, 0.08), (1.00, 0.10)]
BETTER = [(0.90, 0.60), (0.92, 0.63), (0.88, 0.57), (0.90, 0.61)]


def test_lower_loss_and_higher_objective_win(make_trial: MakeTrial) -> None:
    findings = found(make_trial, {"baseline": STEADY, "search/1": BETTER})
    best = confirmation.winner(findings, OBJECTIVE)
    assert best is not None
    assert best.candidate.role == "search/1"
    assert best.num_seeds == 4
    # Gains 0.50, 0.51, 0.49, 0.51: mean 0.5025, standard error 0.0047871, t(0.975, 3) 3.182446.
    assert best.gain is not None
    assert best.gain.mean == pytest.approx(0.5025)
    assert best.gain.low == pytest.approx(0.5025 - 3.182446 * 0.0047871, abs=1e-5)


def test_a_higher_loss_loses_however_high_the_objective(make_trial: MakeTrial) -> None:
    worse = [(1.10, 0.9), (1.13, 0.9), (1.08, 0.9), (1.10, 0.9)]
    findings = found(make_trial, {"baseline": STEADY, "search/1": worse})
    assert confirmation.winner(findings, OBJECTIVE) is None
    assert "loss ratio may be as high as" in findings[1].shortfalls[0]


def test_a_mean_within_the_margin_is_not_enough(make_trial: MakeTrial) -> None:
    # Mean ratio 1.0, but it swings by a tenth: it may be well above the ceiling.
    noisy = [(0.90, 0.9), (1.12, 0.9), (0.88, 0.9), (1.10, 0.9)]
    findings = found(make_trial, {"baseline": STEADY, "search/1": noisy})
    assert confirmation.winner(findings, OBJECTIVE) is None


def test_no_difference_at_all_is_no_win(make_trial: MakeTrial) -> None:
    findings = found(make_trial, {"baseline": STEADY, "search/1": STEADY})
    assert findings[1].gain is not None
    assert (findings[1].gain.low, findings[1].gain.high) == (0.0, 0.0)
    assert findings[1].loss_ratio is not None
    assert findings[1].loss_ratio.high == 1.0
    assert confirmation.winner(findings, OBJECTIVE) is None


def test_zero_variance_with_a_mean_above_zero_wins(make_trial: MakeTrial) -> None:
    findings = found(make_trial, {"baseline": [(1.0, 0.25)] * 3, "search/1": [(1.0, 0.5)] * 3})
    assert confirmation.winner(findings, OBJECTIVE) is not None


def test_more_finalists_need_more_certainty(make_trial: MakeTrial) -> None:
    # Gains 0.04, 0.10, 0.16, 0.10: mean 0.1, standard error 0.024495.
    # Alone the bound is 0.1 - 3.182 * 0.0245 = +0.022; among two 0.1 - 4.177 * 0.0245 = -0.002.
    base = [(1.0, 0.1), (1.0, 0.1), (1.0, 0.1), (1.0, 0.1)]
    gain = [(1.0, 0.14), (1.0, 0.20), (1.0, 0.26), (1.0, 0.20)]
    assert confirmation.winner(found(make_trial, {"baseline": base, "a": gain}), OBJECTIVE)
    two = found(make_trial, {"baseline": base, "a": gain, "b": base})
    assert confirmation.winner(two, OBJECTIVE) is None


def test_a_finalist_that_fails_on_a_seed_cannot_win(make_trial: MakeTrial) -> None:
    findings = found(make_trial, {"baseline": STEADY, "search/1": BETTER}, failed=("search/1",))
    assert findings[1].num_seeds == 3
    assert findings[1].shortfalls == ("seed 0 diverged",)
    assert confirmation.winner(findings, OBJECTIVE) is None


def test_ties_go_to_fewer_neurons(make_trial: MakeTrial) -> None:
    findings = found(
        make_trial,
        {"baseline": STEADY, "wide": BETTER, "narrow": BETTER},
        neurons={"wide": 128, "narrow": 96},
    )
    best = confirmation.winner(findings, OBJECTIVE)
    assert best is not None
    assert best.candidate.role == "narrow"


def test_fewer_than_two_shared_seeds_say_nothing(make_trial: MakeTrial) -> None:
    findings = found(make_trial, {"baseline": STEADY[:1], "search/1": BETTER})
    assert findings[1].loss_ratio is None
    assert findings[1].shortfalls == ("only 1 seeds shared with the baseline",)
    assert confirmation.winner(findings, OBJECTIVE) is None
