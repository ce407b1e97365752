from collections.abc import Callable, Mapping

import pytest

from service.confirmation import Candidate
from service.findings import Finding, compared, confirmed_front, findings, winner
from service.objective import AT_LEAST, AT_MOST, MAXIMIZE, MINIMIZE, Goal, Limit, Objective
from service.trials import Trial

MakeTrial = Callable[..., Trial]
OBJECTIVE = Objective(
    (Goal("monosemantic_per_feature", MAXIMIZE),), (Limit("loss_ratio", 1.02, AT_MOST),)
)


def confirmed(
    make_trial: MakeTrial,
    roles: Mapping[str, list[tuple[float, float]]],
    *,
    neurons: Mapping[str, int] | None = None,
    failed: tuple[str, ...] = (),
    objective: Objective = OBJECTIVE,
) -> list[Finding]:
    """Findings of candidates with these (loss, objective) pairs, a pair a seed."""
    widths = neurons or {}
    chosen = [
        Candidate(
            role=role,
            settings={"num_neurons": widths.get(role, 64)},
            is_finalist=role != "baseline" and " " not in role,
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
            monosemantic_per_feature=value,
            monosemantic_per_neuron=value,
            feature_coverage=value,
        )
        for role, pairs in roles.items()
        for seed, (loss, value) in enumerate(pairs)
    ]
    return findings(chosen, trials, objective)


STEADY = [(1.00, 0.10), (1.02, 0.12), (0.98, 0.08), (1.00, 0.10)]
BETTER = [(0.90, 0.60), (0.92, 0.63), (0.88, 0.57), (0.90, 0.61)]


def test_lower_loss_and_higher_objective_win(make_trial: MakeTrial) -> None:
    found = confirmed(make_trial, {"baseline": STEADY, "search/1": BETTER})
    best = winner(found, OBJECTIVE)
    assert best is not None
    assert best.candidate.role == "search/1"
    assert best.num_seeds == 4
    # Gains 0.50, 0.51, 0.49, 0.51: mean 0.5025, standard error 0.0047871, t(0.975, 3) 3.182446.
    gain = best.gains["monosemantic_per_feature"]
    assert gain.mean == pytest.approx(0.5025)
    assert gain.low == pytest.approx(0.5025 - 3.182446 * 0.0047871, abs=1e-5)


def test_a_higher_loss_loses_however_high_the_objective(make_trial: MakeTrial) -> None:
    worse = [(1.10, 0.9), (1.13, 0.9), (1.08, 0.9), (1.10, 0.9)]
    found = confirmed(make_trial, {"baseline": STEADY, "search/1": worse})
    assert winner(found, OBJECTIVE) is None
    assert "loss ratio may be as high as" in found[1].shortfalls[0]


def test_a_mean_within_the_margin_is_not_enough(make_trial: MakeTrial) -> None:
    # Mean ratio 1.0, but it swings by a tenth: it may be well above the ceiling.
    noisy = [(0.90, 0.9), (1.12, 0.9), (0.88, 0.9), (1.10, 0.9)]
    found = confirmed(make_trial, {"baseline": STEADY, "search/1": noisy})
    assert winner(found, OBJECTIVE) is None


def test_no_difference_at_all_is_no_win(make_trial: MakeTrial) -> None:
    found = confirmed(make_trial, {"baseline": STEADY, "search/1": STEADY})
    gain = found[1].gains["monosemantic_per_feature"]
    assert (gain.low, gain.high) == (0.0, 0.0)
    assert found[1].loss_ratio is not None
    assert found[1].loss_ratio.high == 1.0
    assert winner(found, OBJECTIVE) is None


def test_zero_variance_with_a_mean_above_zero_wins(make_trial: MakeTrial) -> None:
    found = confirmed(make_trial, {"baseline": [(1.0, 0.25)] * 3, "search/1": [(1.0, 0.5)] * 3})
    assert winner(found, OBJECTIVE) is not None


def test_more_finalists_need_more_certainty(make_trial: MakeTrial) -> None:
    # Gains 0.04, 0.10, 0.16, 0.10: mean 0.1, standard error 0.024495.
    # Alone the bound is 0.1 - 3.182 * 0.0245 = +0.022; among two 0.1 - 4.177 * 0.0245 = -0.002.
    base = [(1.0, 0.1), (1.0, 0.1), (1.0, 0.1), (1.0, 0.1)]
    gain = [(1.0, 0.14), (1.0, 0.20), (1.0, 0.26), (1.0, 0.20)]
    assert winner(confirmed(make_trial, {"baseline": base, "a": gain}), OBJECTIVE)
    two = confirmed(make_trial, {"baseline": base, "a": gain, "b": base})
    assert winner(two, OBJECTIVE) is None


def test_one_that_cannot_win_takes_no_certainty_from_those_that_can(make_trial: MakeTrial) -> None:
    """The gains of before, which among two finalists are not enough."""
    base = [(1.0, 0.1), (1.0, 0.1), (1.0, 0.1), (1.0, 0.1)]
    gain = [(1.0, 0.14), (1.0, 0.20), (1.0, 0.26), (1.0, 0.20)]
    better = [(1.0, value + 0.1) for _, value in gain]
    found = confirmed(make_trial, {"baseline": base, "a": gain, "b as enqueued": better})
    best = winner(found, OBJECTIVE)
    assert best is not None
    assert best.candidate.role == "a"


def test_a_finalist_that_fails_on_a_seed_cannot_win(make_trial: MakeTrial) -> None:
    found = confirmed(make_trial, {"baseline": STEADY, "search/1": BETTER}, failed=("search/1",))
    assert found[1].num_seeds == 3
    assert found[1].shortfalls == ("seed 0 diverged",)
    assert winner(found, OBJECTIVE) is None


def test_ties_go_to_fewer_neurons(make_trial: MakeTrial) -> None:
    found = confirmed(
        make_trial,
        {"baseline": STEADY, "wide": BETTER, "narrow": BETTER},
        neurons={"wide": 128, "narrow": 96},
    )
    best = winner(found, OBJECTIVE)
    assert best is not None
    assert best.candidate.role == "narrow"


def test_fewer_than_two_shared_seeds_say_nothing(make_trial: MakeTrial) -> None:
    found = confirmed(make_trial, {"baseline": STEADY[:1], "search/1": BETTER})
    assert found[1].loss_ratio is None
    assert found[1].shortfalls == ("only 1 seeds shared with the baseline",)
    assert winner(found, OBJECTIVE) is None


# Several objectives, and limits of other numbers. Standard errors and t by hand.

UP, DOWN = Goal("monosemantic_per_feature", MAXIMIZE), Goal("loss", MINIMIZE)
NARROW = Goal("num_neurons", MINIMIZE)
# Gains 0.04, 0.10, 0.16, 0.10: mean 0.1, standard error 0.024495.
SMALL = [(1.0, 0.14), (1.0, 0.20), (1.0, 0.26), (1.0, 0.20)]
FLAT = [(1.0, 0.1)] * 4


def test_one_better_objective_is_enough_and_needs_more_certainty(make_trial: MakeTrial) -> None:
    """Of two measured objectives each is tested at 97.5%: 0.1 - 4.177 * 0.0245 = -0.002."""
    roles = {"baseline": FLAT, "a": SMALL}
    two = Objective((UP, DOWN), ())
    (_, finding) = confirmed(make_trial, roles, objective=two)
    assert finding.shortfalls == (
        "its gain in monosemantic per feature may be as low as -0.0023 and its gain in lower loss "
        "may be as low as +0.0000, and one must surely be above 0 (97.5% interval)",
    )
    # Twice the gain is enough, though the loss is no better: 0.2 - 4.177 * 0.0245 = +0.098.
    more = [(1.0, value + 0.1) for _, value in SMALL]
    assert winner(confirmed(make_trial, {"baseline": FLAT, "a": more}, objective=two), two)


def test_the_width_is_known_and_takes_no_certainty_from_the_others(make_trial: MakeTrial) -> None:
    """Tested alone: 0.1 - 3.182 * 0.0245 = +0.022, though it has more neurons."""
    found = confirmed(
        make_trial,
        {"baseline": FLAT, "a": SMALL},
        neurons={"a": 128},
        objective=Objective((UP, NARROW), ()),
    )
    assert found[1].passes
    width = found[1].gains["num_neurons"]
    assert (width.mean, width.low, width.high) == (-64.0, -64.0, -64.0)


def test_fewer_neurons_at_no_higher_loss_are_a_gain(make_trial: MakeTrial) -> None:
    narrower = Objective((NARROW,), (Limit("loss_ratio", 1.02, AT_MOST),))
    roles = {"baseline": STEADY, "a": STEADY, "b": [(1.5, 0.9)] * 4}
    found = confirmed(make_trial, roles, neurons={"a": 32, "b": 16}, objective=narrower)
    assert [finding.passes for finding in found[1:]] == [True, False]
    best = winner(found, narrower)
    assert best is not None
    assert best.candidate.role == "a"


def test_less_of_a_minimized_number_is_a_gain(make_trial: MakeTrial) -> None:
    """Losses 0.90, 0.92, 0.88, 0.90 of 1.00, 1.02, 0.98, 1.00: 0.1 less on every seed."""
    found = confirmed(
        make_trial, {"baseline": STEADY, "a": BETTER}, objective=Objective((DOWN,), ())
    )
    gain = found[1].gains["loss"]
    assert (gain.mean, gain.low) == (pytest.approx(0.1), pytest.approx(0.1))
    assert found[1].passes
    worse = confirmed(
        make_trial, {"baseline": BETTER, "a": STEADY}, objective=Objective((DOWN,), ())
    )
    assert worse[1].gains["loss"].mean == pytest.approx(-0.1)
    assert not worse[1].passes


def test_every_limit_must_surely_be_kept(make_trial: MakeTrial) -> None:
    """Coverage 0.60, 0.63, 0.57, 0.61: mean 0.6025, standard error 0.0125, t(0.975, 3) 3.182.

    It lies between 0.5627 and 0.6423.
    """
    for bound, sign, passes in (
        (0.56, AT_LEAST, True),
        (0.57, AT_LEAST, False),
        (0.65, AT_MOST, True),
        (0.64, AT_MOST, False),
    ):
        limits = (Limit("feature_coverage", bound, sign), Limit("loss_ratio", 1.02, AT_MOST))
        found = confirmed(
            make_trial, {"baseline": STEADY, "a": BETTER}, objective=Objective((UP,), limits)
        )
        assert found[1].passes is passes, bound
        if bound == 0.57:
            assert found[1].shortfalls == (
                "its feature coverage may be as low as 0.5627, and must surely be at or above "
                "0.5700 (95.0% interval; if it is as it looks, 7 seeds would show it four times in "
                "five)",
            )


def test_without_a_ceiling_the_loss_may_rise(make_trial: MakeTrial) -> None:
    dear = [(9.0, 0.9), (9.1, 0.9), (8.9, 0.9), (9.0, 0.9)]
    assert confirmed(make_trial, {"baseline": STEADY, "a": dear}, objective=Objective((UP,), ()))[
        1
    ].passes


def test_the_confirmed_front_is_of_those_that_pass(make_trial: MakeTrial) -> None:
    """b is behind a in both; c has the lowest loss; d has the most, and breaks the ceiling."""
    both = Objective((UP, DOWN), (Limit("loss_ratio", 1.02, AT_MOST),))
    found = confirmed(
        make_trial,
        {
            "baseline": FLAT,
            "a": [(0.9, 0.9)] * 4,
            "b": [(0.95, 0.8)] * 4,
            "c": [(0.5, 0.05)] * 4,
            "d": [(1.5, 1.9)] * 4,
        },
        objective=both,
    )
    assert [one.candidate.role for one in confirmed_front(found, both)] == ["a", "c"]
    best = winner(found, both)
    assert best is not None
    assert best.candidate.role == "a"  # the best in the first objective


def test_a_number_that_is_not_finite_is_named_and_cannot_win(make_trial: MakeTrial) -> None:
    broken = [*BETTER[:3], (0.9, float("nan"))]
    found = confirmed(make_trial, {"baseline": STEADY, "a": broken})
    assert found[1].num_seeds == 3
    assert found[1].shortfalls[0] == "seed 3 has no finite monosemantic per feature"
    assert winner(found, OBJECTIVE) is None


# One candidate beside another, on the same seeds.

OTHER = [(0.95, 0.40), (0.96, 0.42), (0.94, 0.38), (0.95, 0.40)]


def test_two_candidates_are_compared_seed_by_seed(make_trial: MakeTrial) -> None:
    """Gains 0.20, 0.21, 0.19, 0.21: mean 0.2025, standard error 0.0047871, t(0.975, 3) 3.182446.

    Loss ratios 0.947368, 0.958333, 0.936170, 0.947368: mean 0.947310, standard error 0.0045242.
    """
    roles = {"baseline": STEADY, "a": BETTER, "b": OTHER}
    _, a, b = confirmed(make_trial, roles)
    beside = compared(a, b, OBJECTIVE)
    assert beside is not None
    assert beside.num_seeds == 4
    assert (beside.gain.mean, beside.gain.low) == (
        pytest.approx(0.2025),
        pytest.approx(0.187265, abs=1e-6),
    )
    assert (beside.loss_ratio.mean, beside.loss_ratio.high) == (
        pytest.approx(0.947310, abs=1e-6),
        pytest.approx(0.961708, abs=2e-6),
    )
    turned = compared(b, a, OBJECTIVE)
    assert turned is not None
    assert turned.gain.mean == pytest.approx(-0.2025)
    # Losses 0.05, 0.04, 0.06 and 0.05 lower.
    lower = compared(a, b, Objective((DOWN,), ()))
    assert lower is not None
    assert lower.gain.mean == pytest.approx(0.05)


def test_two_candidates_are_compared_on_the_seeds_that_both_have(make_trial: MakeTrial) -> None:
    """Without the first seed the gains are 0.21, 0.19 and 0.21."""
    roles = {"baseline": STEADY, "a": BETTER, "b": OTHER}
    _, a, b = confirmed(make_trial, roles, failed=("b",))
    beside = compared(a, b, OBJECTIVE)
    assert beside is not None
    assert (beside.num_seeds, beside.gain.mean) == (3, pytest.approx(0.61 / 3))
    # Nothing is how many times nothing.
    lossless = [(0.0, value) for _, value in OTHER[:3]]
    _, a, b = confirmed(make_trial, {**roles, "b": [*lossless, OTHER[3]]})
    assert compared(a, b, OBJECTIVE) is None
