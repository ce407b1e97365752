from dataclasses import replace

from search_spaces.paper import BATCHES
from service.paper.claims import BATCHES_OF_CLAIMS, CLAIMS, CLAIMS_SCALING, Found, judged
from service.paper.scaling import scaled

RATES = BATCHES["LR1"].learning_rate


def results_of(make_point, make_result, lever):
    """Claims 1 and 3 hold; of claim 2 what ``lever`` (loss and monosemantic by rate) says.

    No network was looked into.
    """
    ends = {"monosemantic": [[-0.3] * 10], "polysemantic": [[0.1] * 10]}
    lr1 = [
        make_point(value, 0.5, learning_rate=rate, neurons=ends)
        for rate, value in zip(RATES, (0.0, 0.1, 0.3, 0.5, 0.8, 1.0), strict=True)
    ]
    lr3 = [make_point(value, loss, learning_rate=rate) for rate, (loss, value) in lever.items()]
    widths = [
        make_point(value, loss, num_neurons=width)
        for width, value, loss in ((256, 0.1, 1.0), (512, 0.6, 0.5), (1024, 0.9, 0.49))
    ]
    useful = {"B1": -2.0, "B2": -1.4, "B3": -1.1, "B4": -0.8, "B5": -0.5}
    biases = {
        name: [
            make_point(0.6 if bias == best else 0.0, initial_bias=bias,
                       feature_density=BATCHES[name].feature_density)
            for bias in BATCHES[name].initial_bias
        ]
        for name, best in useful.items()
    }  # fmt: skip
    points = {"LR1": lr1, "LR3": lr3, "K0": widths, "K1": widths, **biases}
    return Found({name: make_result(name, points[name]) for name in BATCHES_OF_CLAIMS}, ())


def test_claims_that_hold(make_point, make_result):
    lever = dict.fromkeys(RATES, (0.5, 0.9))
    claims = judged(results_of(make_point, make_result, lever))
    assert [each.claim.number for each in claims] == [1, 2, 3, 4]
    verdicts = [each.judgement.verdict for each in claims]
    assert verdicts == ["held", "held", "held", "not tested"]
    assert claims[0].sweeps == ("paper-LR1",)
    assert claims[1].sweeps == (
        *("paper-LR1", "paper-LR3", "paper-B1", "paper-B2", "paper-B3", "paper-B4", "paper-B5"),
    )


def test_the_lever_is_compared_rate_by_rate(make_point, make_result):
    lever = dict.fromkeys(RATES, (0.5, 0.9)) | {0.001: (0.5, 0.1), 0.03: (0.6, 0.9)}
    second = judged(results_of(make_point, make_result, lever))[1]
    assert second.judgement.verdict == "held in part"
    *biases, highly, cost, root = (piece.verdict for piece in second.judgement.evidence)
    assert biases == ["held", "held"]
    assert (highly, cost, root) == ("held in part", "held in part", "held")
    assert "1.200 times at learning rate 0.03" in second.judgement.sentence


def test_a_rate_that_fails_is_not_at_no_cost(make_point, make_result):
    lever = dict.fromkeys(RATES, (0.5, 0.9)) | {0.03: (0.0, None)}
    second = judged(results_of(make_point, make_result, lever))[1]
    assert "failed at learning rate 0.03" in second.judgement.sentence
    assert second.judgement.verdict == "held in part"


def test_a_rate_whose_zero_bias_network_failed_is_not_judged(make_point, make_result):
    found = results_of(make_point, make_result, dict.fromkeys(RATES, (0.5, 0.9)))
    first = found.batches["LR1"]
    points = tuple(
        make_point(None, learning_rate=0.03) if point.number("learning_rate") == 0.03 else point
        for point in first.points
    )
    batches = {**found.batches, "LR1": replace(first, points=points)}
    cost = judged(Found(batches, ()))[1].judgement.evidence[3]
    assert cost.verdict == "held"
    assert cost.measured.endswith("; not tested at learning rate 0.03, where the other failed")


def test_for_programs(make_point, make_result):
    lever = dict.fromkeys(RATES, (0.5, 0.9))
    found = judged(results_of(make_point, make_result, lever))[2].as_json()
    assert (found["claim"], found["verdict"], found["batches"]) == (3, "held", ["K0", "K1"])
    assert [piece["says"][:3] for piece in found["evidence"]] == ["K0:"] * 3 + ["K1:"] * 3


def test_the_batches_are_those_of_the_claims():
    assert len(set(BATCHES_OF_CLAIMS)) == len(BATCHES_OF_CLAIMS)
    assert set(BATCHES_OF_CLAIMS) == {name for claim in CLAIMS for name in claim.batches}


def test_all_batches_of_the_claims_can_be_scaled_so():
    for name in BATCHES_OF_CLAIMS:
        batch = scaled(BATCHES[name], CLAIMS_SCALING).batch
        assert (batch.num_features, batch.num_inputs) == (256, 32)
