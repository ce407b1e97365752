import numpy as np
import pytest
import torch

from trainers.features import SparseFeatures, Stream, generator
from trainers.names import FEATURE_DISTRIBUTIONS, TASK_KINDS
from trainers.samples import SparseTargets
from trainers.settings import Task
from trainers.tasks import (
    TASKS,
    Projections,
    check_task,
    draw_samples,
    projections,
)

TASK = Task(kind="feature_decoder", num_features=24, num_inputs=5, feature_density=0.2)


def dense_targets(samples, batch_size, num_outputs):
    """Targets ``[num_blocks, B, N]``."""
    if not isinstance(samples.targets, SparseTargets):
        return samples.targets.values
    blocks = []
    for block in samples.targets.blocks():
        target = torch.zeros(batch_size * num_outputs)
        target[block.positions] = block.values
        blocks.append(target.view(batch_size, num_outputs))
    return torch.stack(blocks)


# Two blocks of two samples of three features: (0.5, 0, -1), (0, 0, 0), (0, 0.25, 0), (2, 0, 0).
FEATURES = SparseFeatures(
    positions=np.array([0, 2, 7, 9]), values=np.array([0.5, -1.0, 0.25, 2.0], dtype=np.float32)
)
# P sends feature i to (i + 1, 10 * (i + 1)), Q to (1, -i).
SEEN = Projections(
    inputs=torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]),
    targets=torch.tensor([[1.0, 1.0, 1.0], [0.0, -1.0, -2.0]]),
)


@pytest.mark.parametrize(
    ("kind", "targets"),
    [
        ("feature_decoder", [[[0.5, 0, -1], [0, 0, 0]], [[0, 0.25, 0], [2, 0, 0]]]),
        ("absolute_value", [[[0.5, 0, 1], [0, 0, 0]], [[0, 0.25, 0], [2, 0, 0]]]),
        ("random_reprojector", [[[-0.5, 2], [0, 0]], [[0.25, -0.25], [2, 0]]]),
    ],
)
def test_samples_by_hand(kind, targets):
    samples = TASKS[kind].samples(FEATURES, SEEN, 2, 2)
    assert samples.inputs.tolist() == [[[-2.5, -25.0], [0.0, 0.0]], [[0.5, 5.0], [2.0, 20.0]]]
    assert dense_targets(samples, 2, 3).tolist() == targets


@pytest.mark.parametrize("distribution", FEATURE_DISTRIBUTIONS)
@pytest.mark.parametrize("kind", TASK_KINDS)
def test_drawn_samples_are_those_of_the_features(kind, distribution):
    task = Task(
        kind=kind,
        num_features=24,
        num_inputs=5,
        feature_density=0.2,
        feature_distribution=distribution,
    )
    seen = projections(task, 1)
    samples = draw_samples(
        task, seen, seed=1, stream=Stream.TRAINING, chunk=2, num_blocks=3, batch_size=7
    )
    drawn = TASKS[kind].features(task, generator(1, Stream.TRAINING, 2), 21)
    dense = torch.zeros(21 * 24)
    dense[drawn.positions] = torch.from_numpy(drawn.values)
    dense = dense.view(3, 7, 24)
    torch.testing.assert_close(samples.inputs, dense @ seen.inputs.T)
    expected = {
        "feature_decoder": dense,
        "absolute_value": dense.abs(),
        "random_reprojector": dense @ seen.targets.T,
    }[kind]
    torch.testing.assert_close(dense_targets(samples, 7, 24), expected)


def test_differences_are_signed_and_as_dense_as_two_halves():
    task = Task(kind="absolute_value", num_features=50, num_inputs=5, feature_density=0.2)
    drawn = TASKS["absolute_value"].features(task, generator(1, Stream.TRAINING), 4000)
    # A feature is zero with probability 0.9 * 0.9.
    assert len(drawn.positions) / 200_000 == pytest.approx(0.19, abs=5 * np.sqrt(0.154 / 200_000))
    assert (drawn.values > 0).mean() == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(38_000))


@pytest.mark.parametrize(
    ("kind", "distribution", "by_hand"),
    [
        ("feature_decoder", "uniform", 24 * 0.2 / 3),
        ("random_reprojector", "uniform", 24 * 0.2 / 3),
        # two draws at 0.1: E[f1^2] + E[f2^2] - 2 E[f1] E[f2] = 0.2 / 3 - 2 * 0.05^2
        ("absolute_value", "uniform", 24 * (0.2 / 3 - 0.005)),
        ("feature_decoder", "power_law", None),
        ("absolute_value", "power_law", None),
    ],
)
def test_zero_loss_is_what_answering_zero_costs(kind, distribution, by_hand):
    task = Task(
        kind=kind,
        num_features=24,
        num_inputs=5,
        feature_density=0.2,
        feature_distribution=distribution,
    )
    expected = TASKS[kind].zero_loss(task)
    if by_hand is not None:
        assert expected == pytest.approx(by_hand)
    # The re-projector's is the mean over Q, so over many seeds.
    measured = []
    for seed in range(200):
        samples = draw_samples(
            task,
            projections(task, seed),
            seed=seed,
            stream=Stream.HELD_OUT,
            num_blocks=1,
            batch_size=100,
        )
        measured.append(samples.targets.values.square().sum().item() / 100)
    spread = np.std(measured, ddof=1) / np.sqrt(len(measured))
    assert np.mean(measured) == pytest.approx(expected, abs=5 * spread)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "feature_coder"}, "task.kind must be one of feature_decoder, random"),
        ({"num_inputs": 25}, "num_inputs must be at most num_features, found 25 > 24"),
        ({"num_inputs": 0}, "num_inputs must be at least 1"),
        ({"num_features": 0}, "num_features must be at least 1"),
        ({"feature_density": 0.0}, r"feature_density must be in \(0, 1\]"),
        ({"feature_density": 1.5}, r"feature_density must be in \(0, 1\]"),
        ({"feature_density": float("nan")}, r"feature_density must be in \(0, 1\]"),
        (
            {"feature_distribution": "zipf"},
            "feature_distribution must be one of uniform, power_law",
        ),
    ],
)
def test_impossible_tasks_are_refused(change, message):
    values = {
        "kind": "feature_decoder",
        "num_features": 24,
        "num_inputs": 5,
        "feature_density": 0.2,
    }
    with pytest.raises(ValueError, match=message):
        check_task(Task(**(values | change)))
