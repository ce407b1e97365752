import pytest

from search_spaces.paper import BATCHES
from service.paper.batch_claims import judged

RATES = BATCHES["LR1"].learning_rate
BIASES = BATCHES["B1"].initial_bias


@pytest.mark.parametrize("name", BATCHES)
def test_every_batch_is_judged_even_where_all_of_it_failed(make_point, make_result, name):
    settings = {"num_neurons": 512, "bias_decay": 0.0, "l1": 0.0, "learning_rate": 0.003}
    judgement = judged(make_result(name, [make_point(None, **settings)] * 3))
    assert judgement.verdict in ("not held", "not tested")
    assert judgement.statement.endswith(".")


def test_loss_that_is_blind_to_what_rises_with_the_rate(make_point, make_result):
    points = [
        make_point(value, 0.5 + value / 100, learning_rate=rate)
        for rate, value in zip(RATES, (0.0, 0.1, 0.3, 0.5, 0.8, 1.0), strict=True)
    ]
    assert judged(make_result("LR1", points)).verdict == "held"
    seen = [
        make_point(
            point.monosemantic,
            1.0 - point.monosemantic / 2,
            learning_rate=point.number("learning_rate"),
        )
        for point in points
    ]
    # the same monosemanticity, but the loss shows it
    assert judged(make_result("LR2", seen)).verdict == "held in part"


def test_a_recipe_that_works_at_some_rates_and_costs_nothing(make_point, make_result):
    points = [
        make_point(0.9 if rate > 0.006 else 0.0, loss_ratio=0.9 if rate == 0.01 else 2.0,
                   learning_rate=rate)
        for rate in RATES
    ]  # fmt: skip
    judgement = judged(make_result("LR3", points, baseline_rate=0.01))
    assert [piece.verdict for piece in judgement.evidence] == ["held in part", "held"]
    assert "so at 3 of 6" in judgement.sentence
    assert "every learning rate" in judgement.statement


@pytest.mark.parametrize("name", ["RG1", "D1"])
def test_other_grids_are_held_to_the_recipe_too(make_point, make_result, name):
    (grid,) = BATCHES[name].grids
    rate = BATCHES[name].learning_rate
    points = [
        make_point(0.9, learning_rate=rate, **{grid: value}) for value in BATCHES[name].values(grid)
    ]
    assert judged(make_result(name, points, baseline_rate=rate)).verdict == "held"


@pytest.mark.parametrize(("ratio", "verdict"), [(1.0, "held"), (1.1, "held in part")])
def test_a_negative_bias_that_is_best(make_point, make_result, ratio, verdict):
    points = [
        make_point(0.8 if bias == -0.8 else 0.1, initial_bias=bias,
                   loss_ratio=ratio if bias == -0.8 else 9.0)
        for bias in BIASES
    ]  # fmt: skip
    judgement = judged(make_result("B3", points))
    assert judgement.verdict == verdict
    assert "0.80 at -0.8 against 0.10 at 0.1 (learning rate 0.003)" in judgement.sentence


def test_a_bias_that_brings_nothing_is_not_praised_for_costing_nothing(make_point, make_result):
    judgement = judged(make_result("B1", [make_point(0.0, initial_bias=bias) for bias in BIASES]))
    assert [piece.verdict for piece in judgement.evidence] == ["not held", "not tested"]
    assert judgement.verdict == "not held"


def test_two_grids_are_judged_at_each_rate(make_point, make_result):
    points = [
        make_point(0.8 if bias == (-0.8 if rate < 0.02 else 0.1) else 0.1, initial_bias=bias,
                   learning_rate=rate)
        for rate in RATES
        for bias in BIASES
    ]  # fmt: skip
    judgement = judged(make_result("G3", points, baseline_rate=0.01))
    assert [piece.verdict for piece in judgement.evidence] == ["held in part", "held"]


def test_a_rate_at_which_too_little_was_trained_refutes_nothing(make_point, make_result):
    points = [
        make_point((0.8 if bias == -0.8 else 0.1) if rate < 0.02 else None, initial_bias=bias,
                   learning_rate=rate)
        for rate in RATES
        for bias in BIASES
    ]  # fmt: skip
    best = judged(make_result("G3", points, baseline_rate=0.01)).evidence[0]
    assert best.verdict == "held"
    assert "too few points trained to the end; 11 of 11 points failed (learning rate 0.03)" in (
        best.measured
    )


@pytest.mark.parametrize(("falls", "verdict"), [(True, "held"), (False, "not held")])
def test_one_bias_for_many_densities(make_point, make_result, falls, verdict):
    densities = BATCHES["E1"].feature_density
    points = [
        make_point(1.0 - density if falls else density, feature_density=density)
        for density in densities
    ]
    assert judged(make_result("E1", points)).verdict == verdict


@pytest.mark.parametrize(
    ("widest", "loss", "verdict"),
    [(0.9, 0.49, "held"), (0.6, 0.49, "held in part"), (0.9, 0.3, "held in part")],
)
def test_width(make_point, make_result, widest, loss, verdict):
    # 256 features: the last two have more neurons
    ends = ((0.0, 2.0, 128), (0.1, 1.0, 256), (0.5, 0.5, 512), (widest, loss, 1024))
    points = [make_point(value, lost, num_neurons=width) for value, lost, width in ends]
    assert judged(make_result("K1", points)).verdict == verdict
