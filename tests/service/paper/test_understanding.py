"""What is judged of networks whose neurons are known."""

import pytest
from by_hand import constant, one_each, pairs, silent, understood_by_hand

from service.paper.understanding import leftovers_are_a_correction

NAMES = ("few", "rank", "correction", "cost", "diffuse")


@pytest.fixture(scope="module")
def corrected():
    """Three neurons a feature give back three quarters of it, 16 pairs a quarter of everything."""
    return understood_by_hand("LR3", one_each(0.75, times=3), pairs(0.25))


def judged(*networks):
    return dict(zip(NAMES, leftovers_are_a_correction(networks), strict=True))


def verdicts(*networks):
    return {name: piece.verdict for name, piece in judged(*networks).items()}


def test_a_correction_beside_monosemantic_neurons(corrected):
    found = judged(corrected)
    # 32 of 80 neurons, a map of all 16 directions, which is not of low rank
    assert {name: piece.verdict for name, piece in found.items()} == {
        "few": "held",
        "rank": "not held",
        "correction": "held",
        "cost": "held",
        "diffuse": "held",
    }
    assert found["few"].measured == "LR3: 32 polysemantic, 48 monosemantic"
    assert found["rank"].measured == (
        "LR3: 32 neurons, effective rank 16.0 of at most 16 (1.000 of it)"
    )


def test_the_numbers_that_decide_are_told_with_their_rule(corrected):
    piece = judged(corrected)["correction"]
    assert "at least 0.75 of the way" in piece.says
    assert "less than 0.5 of its mean" in piece.says
    assert "at least 0.5 of the gain" in piece.says
    # It is an identity, the same for all; a quarter of each feature is a sixteenth of the squares.
    assert "likeness to the best identity of rank 16 1.000, 1.000 of the way" in piece.measured
    assert "by 0.000 of its mean" in piece.measured
    kept = float(piece.measured.split("; ")[-1].split(" of the gain")[0])
    assert kept == pytest.approx(15 / 16, abs=0.005)


def test_of_low_rank_is_up_to_half_of_what_could_be():
    # Each direction in two pairs, so that there are 16 neurons and 36.
    low, more = (
        understood_by_hand("LR3", one_each(0.9, times=3), *[pairs(0.05, rank)] * 2)
        for rank in (4, 9)
    )
    # Not half itself: rounding of weights may move an effective rank by a hair.
    assert judged(low)["rank"].verdict == "held"
    assert "effective rank 4.0 of at most 16 (0.250 of it)" in judged(low)["rank"].measured
    assert judged(more)["rank"].verdict == "not held"


def test_what_the_network_stands_on_is_no_correction():
    found = judged(understood_by_hand("LR1", pairs(1.0)))
    assert found["few"].verdict == "not held"
    assert found["correction"].verdict == "not held"
    assert "0.000 of the gain over answering zero kept" in found["correction"].measured
    # There is no monosemantic neuron to remove in comparison.
    assert found["cost"].verdict == "not tested"
    assert found["cost"].measured.endswith("not tested in 1 of 1 networks")


def test_of_few_neurons_nothing_is_refuted(corrected):
    few = understood_by_hand("K1", one_each(1.0), constant(3))
    assert verdicts(few) == {
        "few": "held",
        "rank": "not tested",
        "correction": "not tested",
        "cost": "held",
        "diffuse": "not tested",
    }
    both = judged(corrected, few)
    assert both["correction"].verdict == "held"
    assert both["correction"].measured.endswith(
        "K1: 3 neurons, at least 4 are needed; not tested in 1 of 2 networks"
    )


def test_a_likeness_that_is_not_defined_refutes_nothing():
    signed = judged(understood_by_hand("LR5", pairs(1.0), kind="absolute_value"))
    zero = judged(understood_by_hand("LR3", one_each(1.0), silent(5)))
    for found in (signed, zero):
        assert found["correction"].verdict == "not tested"
        assert "no likeness defined; not tested in 1 of 1" in found["correction"].measured
    assert zero["rank"].measured.startswith("LR3: 5 neurons, their map is zero")


def test_no_neuron_left_over_is_few_and_the_rest_is_unknown():
    found = verdicts(understood_by_hand("LR3", one_each(1.0)))
    assert found.pop("few") == "held"
    assert set(found.values()) == {"not tested"}


def test_without_networks_nothing_is_tested():
    assert set(verdicts().values()) == {"not tested"}
    assert judged()["few"].measured == "no network has clearly any monosemantic neurons"


def test_what_is_monosweeps_own_is_a_note(corrected):
    found = judged(corrected)
    assert [name for name, piece in found.items() if piece.is_note] == ["diffuse"]
    assert "This distinction is monosweep's, not the paper's, and was chosen after" in (
        found["diffuse"].says
    )
