"""Losses without neurons, of networks where they are known by arithmetic."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from trainers.features import power_law_densities
from trainers.interpretation import neuron_table, removal_of, without
from trainers.interpretation.active import active_counts, samples_with_active
from trainers.interpretation.removal import HELD_OUT, NUM_DRAWS
from trainers.replicates import begin_replicate
from trainers.samples import SparseTargets

N = 16
NUM_SAMPLES = 2048


def held_out(network):
    return begin_replicate(network.task, network.member.seed, torch.device("cpu")).held_out


def dense(samples):
    """Targets ``[num_samples, N]``."""
    targets = samples.targets
    assert isinstance(targets, SparseTargets)
    num_blocks, block_size, _ = samples.inputs.shape
    found = torch.zeros(num_blocks, block_size * N)
    blocks = torch.bucketize(
        torch.arange(len(targets.positions)), torch.tensor(targets.starts[1:]), right=True
    )
    found[blocks, targets.positions] = targets.values
    return found.view(-1, N)


def removed(network, neurons):
    samples = held_out(network)
    return removal_of(network, neuron_table(network, samples), np.array(neurons), samples)


def test_counts_are_powers_of_two_up_to_the_features():
    assert active_counts(16).tolist() == [0, 1, 2, 4, 8, 16]
    assert active_counts(20).tolist() == [0, 1, 2, 4, 8, 16]
    assert active_counts(1).tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["feature_decoder", "absolute_value"])
@pytest.mark.parametrize("num_active", [0, 1, 3, N])
def test_exactly_so_many_features_are_active(by_hand, rows, kind, num_active):
    network = by_hand(rows(np.eye(N), 0.0, np.eye(N)), kind=kind)
    targets = dense(samples_with_active(network, num_active))
    assert targets.shape == (NUM_SAMPLES, N)
    # A value of exactly 0 is drawn once in 2**24.
    assert (targets != 0).sum(dim=1).tolist() == [num_active] * NUM_SAMPLES
    assert ((targets >= 0) & (targets < 1)).all()
    # Each feature has the same chance, n / N; five standard deviations of a binomial.
    share = (targets != 0).double().mean(dim=0).numpy()
    chance = num_active / N
    assert np.abs(share - chance).max() <= 5 * math.sqrt(chance * (1 - chance) / NUM_SAMPLES)


def test_signs_are_even_where_features_are_signed(by_hand, rows):
    network = by_hand(rows(np.eye(N), 0.0, np.eye(N)), kind="absolute_value")
    samples = samples_with_active(network, 4)
    undone = (
        samples.inputs.reshape(-1, N).double()
        @ torch.linalg.inv(network.projections.inputs.double()).T
    )
    share = (undone > 0.001).sum() / (undone.abs() > 0.001).sum()
    assert abs(share - 0.5) < 5 * 0.5 / math.sqrt(4 * NUM_SAMPLES)
    np.testing.assert_allclose(undone.abs(), dense(samples), atol=1e-5)


def test_the_more_frequent_features_are_active_the_more_often(by_hand, rows):
    network = by_hand(rows(np.eye(N), 0.0, np.eye(N)))
    task = replace(network.task, feature_distribution="power_law", feature_density=0.05)
    targets = dense(samples_with_active(replace(network, task=task), 1))
    densities = power_law_densities(N, 0.05)
    chance = densities / densities.sum()
    deviation = np.sqrt(chance * (1 - chance) / NUM_SAMPLES)
    share = (targets != 0).double().mean(dim=0).numpy()
    assert (np.abs(share - chance) < 5 * deviation).all()


def test_without_neurons_their_features_are_lost(by_hand, rows):
    # Neuron i answers f_i with f_i; without the first four the loss is their share of the squares.
    network = by_hand(rows(np.eye(N), 0.0, np.eye(N)))
    silent = without(network, np.arange(4))
    assert (silent.decoder[:4] == 0).all()
    assert (silent.decoder[4:] == network.decoder[4:]).all()
    assert (network.decoder[:4] != 0).any()
    found = removed(network, [0, 1, 2, 3])
    assert found.num_active.tolist() == [HELD_OUT, 0, 1, 2, 4, 8, 16]
    np.testing.assert_allclose(found.loss, 0, atol=1e-10)
    # Of n active features the mean square of each is 1/3 and its variance 4/45.
    for count, zero in zip(found.num_active[1:], found.loss_of_zero[1:], strict=True):
        assert abs(zero - count / 3) <= 5 * math.sqrt(count * 4 / 45 / NUM_SAMPLES)
    np.testing.assert_allclose(found.without[2:] / found.loss_of_zero[2:], 4 / N, rtol=0.25)
    assert found.without[1] == 0


def test_as_many_monosemantic_neurons_are_removed_for_comparison(by_hand, rows):
    # Four constant neurons that say nothing beside one neuron a feature: any four of the latter
    # are a quarter of the squares, the former none.
    silent = rows(np.ones((4, N)), 1.0, np.zeros((4, N)))
    network = by_hand(rows(np.eye(N), 0.0, np.eye(N)), silent)
    found = removed(network, [16, 17, 18, 19])
    assert found.choices.shape == (NUM_DRAWS, 7)
    np.testing.assert_allclose(found.without, 0, atol=1e-10)
    np.testing.assert_allclose(
        found.without_monosemantic[[0, -1]] / found.loss_of_zero[[0, -1]], 0.25, rtol=0.05
    )
    assert (found.without_monosemantic_sd[2:] > 0).all()


def test_with_too_few_monosemantic_neurons_nothing_is_compared(by_hand, rows):
    many = rows(np.ones((N + 1, N)), 1.0, np.zeros((N + 1, N)))
    network = by_hand(rows(np.eye(N), 0.0, np.eye(N)), many)
    found = removed(network, range(N, 2 * N + 1))
    assert found.choices.shape == (0, 7)
    assert np.isnan(found.without_monosemantic).all()
    assert np.isnan(found.without_monosemantic_sd).all()


def test_nothing_removed_is_the_network_itself(by_hand, rows):
    found = removed(by_hand(rows(np.eye(N), -0.1, np.eye(N))), np.empty(0, dtype=np.int64))
    np.testing.assert_array_equal(found.without, found.loss)
    assert len(found.choices) == 0
