"""What is said of networks whose neurons are known, and of trained ones."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers import Member, Task, TrainingSettings, advance, begin, outcomes, trained_networks
from trainers.interpretation import COLUMNS, finding_of, interpret, tables
from trainers.interpretation.finding import is_correction
from trainers.names import NONLINEARITIES, TASK_KINDS

N = 16


@pytest.fixture(scope="module")
def one_each(rows):
    """One neuron for each feature, which gives back so much of it."""
    return lambda share, times=1: rows(
        np.tile(np.eye(N), (times, 1)), -1e-3, share / times * np.tile(np.eye(N), (times, 1))
    )


@pytest.fixture(scope="module")
def pairs(rows, directions):
    """Neurons v and -v for each direction: together they add the same share of every feature.

    With a bias of 10 both are always above their thresholds, and what is constant cancels.
    """
    v = directions(N, N)
    both = np.vstack([v, -v])
    return lambda share: rows(both, 10.0, share / 2 * both)


def test_one_monosemantic_neuron_for_each_feature(by_hand, one_each):
    found = interpret(by_hand(one_each(1.0)))
    table = found.neurons
    assert table.kind.tolist() == ["monosemantic"] * N
    assert table.feature.tolist() == list(range(N))
    assert table.covered.tolist() == list(range(N))
    np.testing.assert_allclose(table.strength, 0.999, atol=1e-5)
    np.testing.assert_allclose(table.encoder_norm, 1, atol=1e-5)
    np.testing.assert_allclose(table.decoder_norm, 1, atol=1e-5)
    # A feature is there a quarter of the time, then 1/2 on average and 1/3 in the mean square.
    assert table.active_share == pytest.approx(np.full(N, 0.25), abs=5 * (3 / 16 / 8192) ** 0.5)
    sd = ((0.25 / 3 - 1 / 64) / 8192) ** 0.5
    assert table.mean_activity == pytest.approx(np.full(N, 0.125), abs=5 * sd + 1e-3)
    assert found.responses.signs.tolist() == [1]
    np.testing.assert_allclose(found.responses.values[0], 0.999 * np.eye(N), atol=1e-5)
    assert found.polysemantic.removal.loss[0] < 1e-5
    words = finding_of(found)
    assert words.startswith(
        "Of 16 neurons 16 are monosemantic (for 16 of 16 features, mean bias -0.00), "
        "0 polysemantic and 0 dead."
    )
    assert words.endswith("No polysemantic neuron is left, so there is nothing to explain.")


def test_dead_neurons_and_two_for_a_feature(by_hand, one_each, rows):
    dead = rows(np.ones((3, N)), -2.0, np.ones((3, N)))
    again = rows(2 * np.eye(N)[:2], 0.0, np.zeros((2, N)))
    found = interpret(by_hand(one_each(1.0), again, dead))
    assert found.neurons.kind.tolist() == ["monosemantic"] * 18 + ["dead"] * 3
    assert found.neurons.feature.tolist() == [*range(N), 0, 1, -1, -1, -1]
    assert "18 are monosemantic (for 16 of 16 features" in finding_of(found)
    assert "and 3 dead" in finding_of(found)
    # Dead to each alone; with four features active on average their sum now and then passes 2.
    assert 0 < found.neurons.active_share[18] < 0.5
    columns = tables(found)["features"]
    assert columns["num_monosemantic"].tolist() == [2, 2] + [1] * 14


def test_both_signs_are_shown_where_features_are_signed(by_hand, rows):
    both = np.vstack([np.eye(N), -np.eye(N)])
    network = by_hand(rows(both, -1e-3, np.abs(both)), kind="absolute_value")
    found = interpret(network)
    assert set(found.neurons.kind) == {"monosemantic"}
    assert found.responses.signs.tolist() == [1, -1]
    np.testing.assert_allclose(found.responses.values[1][N:], 0.999 * np.eye(N), atol=1e-5)
    assert found.polysemantic.removal.loss[0] < 1e-5


def test_a_correction_beside_monosemantic_neurons_is_called_one(by_hand, one_each, pairs):
    # Three neurons a feature give back three quarters of it, 32 in pairs a quarter of everything.
    found = interpret(by_hand(one_each(0.75, times=3), pairs(0.25)))
    part = found.polysemantic
    assert (found.neurons.kind == "polysemantic").sum() == 2 * N
    assert part.block.neurons.tolist() == list(range(3 * N, 5 * N))
    assert part.block.likeness.value == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(part.block.likeness.given_back, 0.25, atol=1e-4)
    # Without them a quarter of each feature is missing: a sixteenth of the squares.
    assert part.removal.without[0] / part.removal.loss_of_zero[0] == pytest.approx(1 / 16, rel=0.05)
    # Of three neurons a feature with a quarter each, two are missing on average.
    assert part.removal.without_monosemantic[0] > 3 * part.removal.without[0]
    assert is_correction(part)
    words = finding_of(found)
    assert "it could be 1.00: like an identity." in words
    assert "so it is much the same for every feature." in words
    assert "the polysemantic neurons matter less." in words
    assert words.endswith(
        "So the polysemantic neurons, as far as a linear map can tell, add a correction of "
        "effective rank 16 that is much the same for every feature."
    )


def test_what_the_network_stands_on_is_no_correction(by_hand, pairs):
    found = interpret(by_hand(pairs(1.0)))
    assert found.polysemantic.block.likeness.value == pytest.approx(1, abs=1e-4)
    assert not is_correction(found.polysemantic)
    words = finding_of(found)
    assert "There are no monosemantic neurons to remove for comparison." in words
    assert words.endswith("gains over answering zero) to call them a correction.")


def test_neurons_for_features_of_their_own_are_no_correction(by_hand, rows, directions, one_each):
    # Four turned neurons for the four features that no other neuron answers to.
    v = np.zeros((4, N))
    v[:, :4] = directions(4, 4)
    both = np.vstack([v, -v])
    own = rows(both, 10.0, both / 2)
    twelve = one_each(1.0)
    rest = rows(twelve.answers[4:], -1e-3, twelve.says[4:])
    found = interpret(by_hand(rest, own))
    words = finding_of(found)
    assert "like an identity." in words
    assert re.search(
        r"so it is not the same for every feature: -?0\.00 on average for features with a "
        r"monosemantic neuron, 1\.00 for the others\.",
        words,
    )
    assert words.endswith("not neurons that add a correction which is the same for every feature.")


def test_a_map_unlike_an_identity_is_said_to_be_so(by_hand, rows, directions, one_each):
    both = directions(8, N)
    listens, says = both[:4], both[4:]
    stray = rows(np.vstack([listens, -listens]), 10.0, 0.1 * np.vstack([says, -says]))
    words = finding_of(interpret(by_hand(one_each(1.0), stray)))
    assert ": not like an identity." in words
    assert "instead of" in words
    assert words.endswith("not neurons that add a correction which is the same for every feature.")


def test_of_few_neurons_no_map_is_claimed(by_hand, rows, one_each):
    few = rows(np.ones((3, N)), 1.0, np.ones((3, N)))
    words = finding_of(interpret(by_hand(one_each(1.0), few)))
    assert "The polysemantic neurons are too few to say what kind of map they make." in words
    assert words.endswith("stays open.")


def test_neurons_that_say_nothing_make_no_map(by_hand, rows, one_each):
    words = finding_of(
        interpret(by_hand(one_each(1.0), rows(np.ones((5, N)), 1.0, np.zeros((5, N)))))
    )
    assert "The polysemantic neurons together add nothing to any output." in words
    assert "matter less" in words


def test_a_task_without_a_linear_target_leaves_it_open(by_hand, pairs):
    words = finding_of(interpret(by_hand(pairs(1.0), kind="absolute_value")))
    assert "likeness to an identity is not defined for this task" in words
    assert words.endswith("stays open.")


def test_the_diffuse_are_told_from_the_nearly_monosemantic(by_hand, rows, one_each, pairs):
    # 0.9 of one feature and 0.1 of the next: 90% of the responses are to one.
    nearly = rows(0.9 * np.eye(N) + 0.1 * np.roll(np.eye(N), 1, axis=1), 0.0, 0.5 * np.eye(N))
    found = interpret(by_hand(one_each(0.25), nearly, pairs(0.25)))
    assert found.polysemantic.block.neurons.tolist() == list(range(N, 4 * N))
    assert found.diffuse.block.neurons.tolist() == list(range(2 * N, 4 * N))
    assert "32 of the polysemantic neurons are diffuse" in finding_of(found)


@pytest.fixture(scope="module", params=[(k, n) for k in TASK_KINDS for n in NONLINEARITIES])
def trained(request):
    kind, nonlinearity = request.param
    task = Task(kind=kind, num_features=20, num_inputs=5, feature_density=0.1)
    member = Member(seed=1, num_neurons=30, nonlinearity=nonlinearity, learning_rate=0.02)
    state = begin(task, TrainingSettings(num_steps=300, batch_size=32), [member])
    return advance(state, 300)


def test_trained_networks_of_every_kind(trained):
    (network,), (outcome,) = trained_networks(trained), outcomes(trained)
    found = interpret(network)
    for part in (found.polysemantic, found.diffuse):
        assert part.removal.loss[0] == outcome.evaluation.loss
    np.testing.assert_array_equal(found.neurons.kind, outcome.neurons.kind)
    np.testing.assert_array_equal(found.neurons.feature, outcome.neurons.feature)
    assert found.responses.values.shape[1:] == (30, 20)
    found_tables = tables(found)
    assert set(found_tables) == set(COLUMNS)
    for name, columns in found_tables.items():
        assert set(columns) == set(COLUMNS[name])
        assert len({array.shape for array in columns.values()}) == 1
    assert finding_of(found).startswith("Of 30 neurons ")
    assert finding_of(interpret(network)) == finding_of(found)


@settings(max_examples=5, deadline=None)
@given(order=st.permutations(range(3 * N + 2 * N)))
def test_the_order_of_neurons_is_all_one(by_hand, one_each, pairs, order):
    network = by_hand(one_each(0.75, times=3), pairs(0.25))
    # Neurons are told apart, so that there is one order by what they do.
    rng = np.random.default_rng(0)
    bias = network.bias + rng.uniform(-1e-3, 1e-3, len(network.bias)).astype(np.float32)
    network = replace(network, bias=bias)
    arrays = {name: getattr(network, name)[order] for name in ("encoder", "bias", "decoder")}
    one, other = interpret(network), interpret(replace(network, **arrays))
    for name in COLUMNS["neurons"]:
        if name != "neuron":
            before, after = getattr(one.neurons, name)[order], getattr(other.neurons, name)
            if before.dtype.kind == "f":
                np.testing.assert_allclose(after, before, atol=1e-4)
            else:
                np.testing.assert_array_equal(after, before)
    np.testing.assert_allclose(
        other.polysemantic.removal.choices, one.polysemantic.removal.choices, atol=1e-4
    )
    assert other.polysemantic.block.likeness.value == pytest.approx(
        one.polysemantic.block.likeness.value, abs=1e-5
    )
    assert is_correction(one.polysemantic)
    assert is_correction(other.polysemantic)
