import numpy as np
import pytest
import torch

from trainers.features import SparseFeatures, Stream, generator, projection
from trainers.features import draw_uniform as draw
from trainers.tasks import TASKS, Task, check_task, decoder_samples, draw_samples

TASK = Task(kind="feature_decoder", num_features=24, num_inputs=5, feature_density=0.2)


def dense_targets(samples, batch_size, num_features):
    blocks = []
    for index in range(len(samples.inputs)):
        _, positions, values = samples.blocks()[index]
        target = torch.zeros(batch_size * num_features, dtype=values.dtype)
        target[positions] = values
        blocks.append(target.view(batch_size, num_features))
    return torch.stack(blocks)


def test_decoder_samples_by_hand():
    # Two blocks of two samples of three features; P sends feature i to (i + 1, 10 * (i + 1)).
    features = SparseFeatures(
        positions=np.array([0, 2, 7, 9]),  # sample 0: features 0, 2; 1: none; 2: 1; 3: 0
        values=np.array([0.5, 1.0, 0.25, 2.0], dtype=np.float32),
    )
    seen_through = torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    samples = decoder_samples(features, seen_through, 2, 2)
    assert samples.inputs.tolist() == [[[3.5, 35.0], [0.0, 0.0]], [[0.5, 5.0], [2.0, 20.0]]]
    assert dense_targets(samples, 2, 3).tolist() == [
        [[0.5, 0.0, 1.0], [0.0, 0.0, 0.0]],
        [[0.0, 0.25, 0.0], [2.0, 0.0, 0.0]],
    ]


def test_inputs_are_the_projection_of_the_targets():
    seen_through = torch.from_numpy(projection(1, 5, 24))
    samples = draw_samples(
        TASK, seen_through, seed=1, stream=Stream.TRAINING, chunk=2, num_blocks=3, batch_size=7
    )
    targets = dense_targets(samples, 7, 24)
    torch.testing.assert_close(samples.inputs, targets @ seen_through.T)
    drawn = draw(generator(1, Stream.TRAINING, 2), 3 * 7 * 24, 0.2)
    assert targets.count_nonzero() == len(drawn.positions)


def test_zero_loss_is_what_answering_zero_costs():
    seen_through = torch.from_numpy(projection(1, 5, 24))
    samples = draw_samples(
        TASK, seen_through, seed=1, stream=Stream.HELD_OUT, num_blocks=10, batch_size=1000
    )
    measured = samples.values.square().sum().item() / 10_000
    # N eps / 3 = 1.6; a sample's loss has variance N (eps/5 - (eps/3)^2) = 0.853
    assert TASKS[TASK.kind].zero_loss(TASK) == pytest.approx(1.6)
    assert measured == pytest.approx(1.6, abs=5 * np.sqrt(0.853 / 10_000))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "feature_coder"}, "task.kind must be one of feature_decoder"),
        ({"num_inputs": 25}, "num_inputs must be at most num_features, found 25 > 24"),
        ({"num_inputs": 0}, "num_inputs must be at least 1"),
        ({"num_features": 0}, "num_features must be at least 1"),
        ({"feature_density": 0.0}, r"feature_density must be in \(0, 1\]"),
        ({"feature_density": 1.5}, r"feature_density must be in \(0, 1\]"),
        ({"feature_density": float("nan")}, r"feature_density must be in \(0, 1\]"),
        ({"feature_distribution": "zipf"}, "feature_distribution must be one of uniform"),
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
