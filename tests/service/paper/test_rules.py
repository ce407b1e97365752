"""The rules on results made by hand, at both sides of each rule's number."""

import pytest

from service.paper import rules
from service.paper.bias_rules import biases_tell, useful_bias, useful_bias_goes_with_root


@pytest.mark.parametrize(
    ("losses", "verdict"),
    [((0.500, 0.524), "held"), ((0.500, 0.526), "not held"), ((0.5, None), "not tested")],
)
def test_losses_are_nearly_the_same_within_a_twentieth(make_point, losses, verdict):
    points = [make_point(None if loss is None else 0.5, loss or 0.0) for loss in losses]
    assert rules.nearly_same_loss(points).verdict == verdict


def test_losses_are_told_in_numbers(make_point):
    points = [make_point(0.1, 0.8), make_point(None), make_point(0.1, 0.5)]
    assert rules.nearly_same_loss(points).measured == (
        "loss 0.500 to 0.800, the highest 60% above the lowest; 1 of 3 points failed"
    )


@pytest.mark.parametrize(("most", "verdict"), [(0.75, "held"), (0.74, "not held")])
def test_half_a_neuron_a_feature_is_very_different(make_point, most, verdict):
    assert rules.very_different([make_point(0.25), make_point(most)]).verdict == verdict


@pytest.mark.parametrize(
    ("found", "rising", "falling"),
    [
        ((0.0, 0.1, 0.2, 0.3), "held", "not held"),
        # ranks 1 2 4 3: 1 - 6 * 2 / (4 * 15) = 0.8
        ((0.0, 0.1, 0.3, 0.2), "held", "not held"),
        # ranks 2 1 4 3: 1 - 6 * 4 / 60 = 0.6
        ((0.1, 0.0, 0.3, 0.2), "not held", "not held"),
        ((0.3, 0.2, 0.1, 0.0), "not held", "held"),
        ((0.0, 0.0, 0.0, 0.0), "not held", "not held"),
        # by less than two seeds differ
        ((0.0, 0.01, 0.05, 0.09), "not held", "not held"),
        ((0.11, 0.05, 0.02, 0.0), "not held", "held"),
        ((0.0, 0.1, None, None), "not tested", "not tested"),
    ],
)
def test_monosemanticity_rises_by_rank(make_point, found, rising, falling):
    points = [make_point(each, learning_rate=0.001 * 2**i) for i, each in enumerate(found)]
    assert rules.rises_with(points, "learning_rate").verdict == rising
    assert rules.rises_with(points, "learning_rate", falls=True).verdict == falling


def test_a_rank_correlation_is_told_with_its_points(make_point):
    points = [make_point(value, l1=l1) for value, l1 in ((0.0, 0.1), (0.5, 0.2), (0.25, 0.3))]
    evidence = rules.rises_with(points, "l1")
    # ranks 1 3 2: 1 - 6 * 2 / (3 * 8) = 0.5
    assert evidence.measured == (
        "rank correlation with the L1 penalty +0.50 (0.00 at 0.1, 0.50 at 0.2, 0.25 at 0.3)"
    )


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ((0.5, 0.9), "held"),
        ((0.49, 0.9), "held in part"),
        ((None, 0.9), "held in part"),
        ((0.49, None), "not held"),
        ((None, None), "not held"),
    ],
)
def test_half_a_neuron_a_feature_is_highly_monosemantic(make_point, found, verdict):
    points = [make_point(value) for value in found]
    assert rules.highly_monosemantic_at_every(points, "learning_rate").verdict == verdict


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ((1.019, 0.5), "held"),
        ((1.021, 1.0), "held in part"),
        ((None, 1.0), "held in part"),
        ((1.5,), "not held"),
        ((), "not tested"),
    ],
)
def test_two_percent_are_no_cost(ratios, verdict):
    assert rules.no_cost([("rate 1", ratio) for ratio in ratios], "another's").verdict == verdict


def test_costs_are_told_where_they_are():
    found = rules.no_cost([("rate 1", 0.9876), ("rate 2", None)], "another's")
    assert found.measured == "loss 0.988 times at rate 1, failed at rate 2"
    assert found.says == "a loss of at most 1.02 times another's"


def test_what_has_nothing_beside_it_is_told_and_not_judged():
    found = rules.no_cost([("rate 1", 1.0)], "another's", missing=["rate 2", "rate 3"])
    assert found.verdict == "held"
    assert found.measured == (
        "loss 1.000 times at rate 1; not tested at rate 2, rate 3, where the other failed"
    )
    assert rules.no_cost([], "another's", missing=["rate 2"]).verdict == "not tested"


def test_the_baseline_says_nothing_of_other_learning_rates(make_point):
    points = [
        make_point(0.5, loss_ratio=1.01, learning_rate=0.01),
        make_point(0.5, loss_ratio=3.0, learning_rate=0.03),
    ]
    found = rules.no_cost_beside_baseline(points, "learning_rate", 0.01)
    assert found.verdict == "held"
    assert found.measured == "loss 1.010 times at learning rate 0.01"


@pytest.mark.parametrize(
    ("by_bias", "holds"),
    [
        ({-1.0: 0.61, 0.1: 0.5}, True),
        ({-1.0: 0.59, 0.1: 0.5}, False),
        ({-2.0: 0.0, -1.0: 0.4, 0.1: 0.0, 1.0: 0.5}, False),
        ({-1.0: 0.0, 0.1: 0.0}, False),
        ({-1.0: None, 0.1: 0.0}, None),
        ({-1.0: 0.9, 0.1: None}, None),
    ],
)
def test_a_negative_bias_is_best_where_it_is_clearly_so(make_point, by_bias, holds):
    points = [make_point(found, initial_bias=bias) for bias, found in by_bias.items()]
    assert rules.negative_is_best(points)[0] is holds


def test_of_equal_points_the_smallest_bias_is_best(make_point):
    points = [make_point(0.4, initial_bias=bias) for bias in (-2.0, -0.5, -1.0)]
    assert rules.most_monosemantic(points).number("initial_bias") == -0.5


@pytest.mark.parametrize(
    ("widest", "verdict"), [(0.8, "held"), (1.3, "held"), (0.79, "not held"), (None, "not tested")]
)
def test_four_fifths_are_near_one(make_point, widest, verdict):
    points = [make_point(0.0, num_neurons=8), make_point(widest, num_neurons=1024)]
    assert rules.nears_one(points).verdict == verdict


@pytest.mark.parametrize(("last", "verdict"), [(0.476, "held"), (0.474, "not held"), (0.6, "held")])
def test_the_loss_is_compared_from_the_first_width_above_the_features(make_point, last, verdict):
    points = [
        make_point(0.5, 2.0, num_neurons=256),
        make_point(0.5, 0.5, num_neurons=512, train_s=2.0),
        make_point(0.5, last, num_neurons=1024, train_s=5.0),
    ]
    found = rules.loss_hardly_improves(points, num_features=256)
    assert found.verdict == verdict
    assert "loss 0.500 with 512 neurons" in found.measured
    assert "took 2.5 times as long" in found.measured
    assert rules.loss_hardly_improves(points, num_features=512).verdict == "not tested"


def test_biases_are_judged_network_by_network(make_point):
    good = [-0.3] * 10
    points = [
        make_point(
            0.5,
            neurons={
                # the third network has too few monosemantic neurons
                "monosemantic": [good, [0.2] * 10, [-0.3] * 9],
                "polysemantic": [[0.1] * 12, [0.1] * 10, [0.1] * 12],
                "dead": [[-9.0] * 50, [], []],
            },
        ),
        # smaller than the monosemantic one's, but not positive
        make_point(0.5, neurons={"monosemantic": [good], "polysemantic": [[-0.1] * 10]}),
        # positive, but larger
        make_point(0.5, neurons={"monosemantic": [good], "polysemantic": [[0.4] * 10]}),
    ]
    mono, poly = biases_tell(points)
    assert (mono.verdict, poly.verdict) == ("held in part", "held in part")
    assert mono.measured.startswith(
        "in 4 networks with at least 10 of each kind: negative in 3 (medians -0.30 to +0.20"
    )
    assert poly.measured.startswith("so in 2 of 4 (medians -0.10 to +0.40")


def test_biases_of_networks_of_one_kind_say_nothing(make_point):
    points = [make_point(0.0, neurons={"polysemantic": [[0.1] * 50]}), make_point(None)]
    assert {each.verdict for each in biases_tell(points)} == {"not tested"}


def bias_batch(make_point, make_result, name, density, *, best, value=0.6):
    biases = (-2.0, -1.4, -1.1, -0.8, -0.5, -0.2, 0.1)
    points = [
        make_point(value if bias == best else 0.0, initial_bias=bias, feature_density=density)
        for bias in biases
    ]
    return make_result(name, points)


@pytest.mark.parametrize(
    ("best", "verdict"),
    [
        # -8 * sqrt(density), as near as the grid has it: -2, -1.41, -1, -0.71, -0.5
        ((-2.0, -1.4, -1.1, -0.8, -0.5), "held"),
        ((-0.5, -0.5, -0.5, -0.5, -0.5), "not held"),
        ((-0.2, -0.5, -0.8, -1.1, -1.4), "not held"),
        # the power of 1: 4 times from 1/16 to 1/64
        ((-2.0, None, -0.5, None, -0.2), "not held"),
        ((-2.0, None, -1.1, None, None), "not tested"),
    ],
)
def test_the_useful_bias_goes_with_the_root(make_point, make_result, best, verdict):
    results = [
        bias_batch(make_point, make_result, f"B{index}", 1 / 2 ** (3 + index), best=bias)
        for index, bias in enumerate(best, start=1)
    ]
    assert useful_bias_goes_with_root(results).verdict == verdict


def test_the_power_is_measured(make_point, make_result):
    results = [
        bias_batch(make_point, make_result, name, density, best=bias)
        for name, density, bias in (
            ("B1", 1 / 16, -2.0),
            ("B3", 1 / 32, -1.4),
            ("B5", 1 / 64, -1.1),
        )
    ]
    found = useful_bias_goes_with_root(results)
    # log(2 / 1.1) / log(4) = 0.431; the least squares of three even points ignore the middle one
    assert found.measured.startswith("power 0.43 over 3 densities (density 1/16: bias -2 with 0.60")


@pytest.mark.parametrize(("bias", "value"), [(-0.5, 0.09), (0.1, 0.9)])
def test_a_bias_that_brings_nothing_or_is_not_negative_is_no_useful_one(
    make_point, make_result, bias, value
):
    result = bias_batch(make_point, make_result, "B1", 1 / 16, best=bias, value=value)
    assert useful_bias(result.points) is None
