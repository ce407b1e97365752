import math

import numpy as np
import pytest
import torch

from trainers.evaluation import curve, evaluation, held_out_loss, neurons
from trainers.model import NONLINEARITIES, Weights, split
from trainers.passes.dense import DensePasses
from trainers.samples import Samples, SparseTargets
from trainers.sizes import num_weights

RELU = NONLINEARITIES["relu"]


def network(encoder, bias=None, decoder=None, width=64) -> Weights:
    """One padded network from rows of W1, b and W2."""
    encoder = torch.tensor(encoder, dtype=torch.float32)
    k, m = encoder.shape
    decoder = torch.zeros(k, m) if decoder is None else torch.tensor(decoder)
    weights = split(torch.zeros(1, num_weights(width, m, decoder.shape[1])), width, m)
    weights.encoder[0, :k] = encoder
    weights.bias[0, :k] = torch.zeros(k) if bias is None else torch.tensor(bias)
    weights.decoder[0, :k] = decoder
    return weights


def judge(weights, k, projection, nonlinearity=RELU):
    found = neurons(weights, k, projection, nonlinearity)
    return found, evaluation(0.5, found, found, projection.shape[1])


def test_one_monosemantic_neuron_for_each_feature():
    found, metrics = judge(network(np.eye(4)), 4, torch.eye(4))
    assert found.kind.tolist() == ["monosemantic"] * 4
    assert found.feature.tolist() == [0, 1, 2, 3]
    assert found.strength.tolist() == [1.0] * 4
    assert metrics.monosemantic_per_feature == 1.0
    assert metrics.monosemantic_per_neuron == 1.0
    assert metrics.feature_coverage == 1.0
    assert metrics.num_dead == 0
    assert metrics.loss == 0.5


def test_kinds_duplicates_and_coverage_by_hand():
    rows = [
        [2.0, 0.0, 0.0, 0.0],  # feature 0
        [0.5, -3.0, 0.0, 0.0],  # feature 0 again: ReLU hides the negative response
        [0.0, 0.0, 1.0, 1.0],  # features 2 and 3, half each
        [-1.0, -1.0, -1.0, -1.0],  # dead
        [0.0, 1.0, 0.0, 0.0005],  # feature 1: 1 / 1.0005 = 0.9995
        [0.0, 1.0, 0.0, 0.0020],  # 1 / 1.002 = 0.998
    ]
    found, metrics = judge(network(rows), 6, torch.eye(4))
    assert found.kind.tolist() == [
        "monosemantic",
        "monosemantic",
        "polysemantic",
        "dead",
        "monosemantic",
        "polysemantic",
    ]
    assert found.feature.tolist() == [0, 0, 2, -1, 1, 1]
    assert found.concentration.tolist() == pytest.approx([1, 1, 0.5, 0, 0.99950025, 0.99800399])
    assert metrics.monosemantic_per_feature == 3 / 4
    assert metrics.monosemantic_per_neuron == 3 / 6
    assert metrics.feature_coverage == 2 / 4  # two neurons share feature 0
    # (1 + 1 + 0.5 + 0.9995 + 0.9980) / 4
    assert metrics.concentration_per_feature == pytest.approx(1.12438, abs=1e-5)
    assert metrics.num_dead == 1


def test_bias_counts_and_padding_does_not():
    # Responses (0.7, 0.2) become (0.4, 0) under a bias of -0.3; with 64 - 2 padded neurons a mean
    # over the padded width would be 32 times smaller, and a dead count 62 larger.
    found, metrics = judge(network([[0.7, 0.2], [0.7, 0.2]], bias=[-0.3, 0.1]), 2, torch.eye(2))
    assert found.kind.tolist() == ["monosemantic", "polysemantic"]
    assert found.strength.tolist() == pytest.approx([0.4, 0.8])
    assert metrics.mean_bias == pytest.approx(-0.1)
    assert metrics.num_dead == 0
    assert len(found.bias) == 2


def test_a_silent_neuron_is_dead_and_a_faint_one_is_not():
    found, metrics = judge(network([[1.0, 0.0], [1e-6, 0.0]], bias=[-1.0, 0.0]), 2, torch.eye(2))
    assert found.kind.tolist() == ["dead", "monosemantic"]
    assert metrics.num_dead == 1


def test_a_faint_neuron_is_dead_where_the_nonlinearity_answers_faintly_to_everything():
    # GELU(0.001) = 0.0005 to feature 0 alone: all of its concentration, and still dead.
    found, metrics = judge(network([[0.001, 0.0]]), 1, torch.eye(2), NONLINEARITIES["gelu"])
    assert found.concentration[0] == pytest.approx(1.0)
    assert metrics.monosemantic_per_feature == 0
    assert metrics.concentration_per_feature == 0


def test_responses_are_to_features_seen_through_the_projection():
    # Feature 2 is seen as (0.6, 0.8): a neuron along the first axis answers to it with 0.6.
    projection = torch.tensor([[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]])
    found, _ = judge(network([[1.0, 0.0], [1.0, 0.0]], bias=[0.0, -0.7]), 2, projection)
    assert found.kind.tolist() == ["polysemantic", "monosemantic"]
    assert found.concentration.tolist() == pytest.approx([1 / 1.6, 1.0])
    assert found.strength.tolist() == pytest.approx([1.0, 0.3])


@pytest.mark.parametrize(
    ("name", "value"),
    [("gelu", 0.5 * 2 * (1 + math.erf(2 / math.sqrt(2)))), ("solu", 2 * math.exp(2))],
)
def test_only_positive_responses_count_where_the_nonlinearity_goes_below_zero(name, value):
    rows = [[2.0, -1.0], [-1.0, -2.0], [0.001, 0.0]]
    found, metrics = judge(network(rows), 3, torch.eye(2), NONLINEARITIES[name])
    assert found.strength[0] == pytest.approx(value)
    assert found.concentration[0] == pytest.approx(1.0)  # value / (value - 0.16) if all counted
    assert found.kind.tolist()[:2] == ["monosemantic", "dead"]
    # GELU answers 0.0005, below the threshold of 0.001; SoLU 0.001001, just above.
    assert found.kind[2] == {"gelu": "dead", "solu": "monosemantic"}[name]
    assert metrics.num_dead == {"gelu": 2, "solu": 1}[name]


def test_signed_features_are_probed_at_both_signs():
    rows = [
        [-1.0, 0.0, 0.0],  # feature 0 at -1 only: dead as published
        [0.0, 2.0, 0.0],  # feature 1 at 1
        [0.0, 1.0, -1.0],  # feature 1 at 1 and feature 2 at -1: only as published of one feature
        [0.0, 0.0, 1.0],  # feature 2 at 1, and with a bias of 2 to all at both signs
    ]
    weights = network(rows, bias=[0.0, 0.0, 0.0, 2.0])
    found = neurons(weights, 4, torch.eye(3), RELU, (1, -1))
    published = neurons(weights, 4, torch.eye(3), RELU)
    assert found.kind.tolist() == ["monosemantic", "monosemantic", "polysemantic", "polysemantic"]
    assert published.kind.tolist() == ["dead", "monosemantic", "monosemantic", "polysemantic"]
    assert found.feature.tolist()[:2] == [0, 1]
    assert found.strength.tolist() == [1.0, 2.0, 1.0, 3.0]
    # 2 to each of features 0 and 1 at each sign, 3 and 1 to feature 2: 4 of 12.
    assert found.concentration[3] == pytest.approx(4 / 12)
    metrics = evaluation(0.5, found, published, 3)
    assert metrics.monosemantic_per_feature == 2 / 3
    assert metrics.monosemantic_per_feature_published == 2 / 3
    assert metrics.num_dead == 0


def test_held_out_loss_is_the_mean_over_all_samples():
    # The network answers y = relu(x) on one feature; blocks of two samples with errors
    # (1 - 0.5, 0 - 0) and (2 - 2, 3 - 1): (0.25 + 0 + 0 + 4) / 4.
    weights = network([[1.0]], decoder=[[1.0]])
    held_out = Samples(
        inputs=torch.tensor([[[1.0], [0.0]], [[2.0], [3.0]]]),
        targets=SparseTargets(
            positions=torch.tensor([0, 0, 1]),
            values=torch.tensor([0.5, 2.0, 1.0]),
            starts=(0, 1, 3),
        ),
    )
    assert held_out_loss(DensePasses(weights, RELU, 2), held_out) == pytest.approx(4.25 / 4)


def test_curve_has_one_array_for_each_metric():
    _, metrics = judge(network(np.eye(2)), 2, torch.eye(2))
    points = curve([(1, metrics), (2, metrics)])
    assert points.steps.tolist() == [1, 2]
    assert points.loss.tolist() == [0.5, 0.5]
    assert points.num_dead.dtype == np.int64
    assert len(curve([]).loss) == 0
