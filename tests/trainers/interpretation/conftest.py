"""Networks built by hand: their weights are given as what they do to features."""

from dataclasses import dataclass

import numpy as np
import pytest

from trainers import Member, Network, Task
from trainers.tasks import projections


@dataclass(frozen=True)
class Rows:
    """Some neurons: what they answer to ``[k, N]``, their bias, what they say ``[k, outputs]``."""

    answers: np.ndarray
    bias: float
    says: np.ndarray


@pytest.fixture(scope="session")
def by_hand():
    """A function that makes a network with as many inputs as features, so that P can be undone."""

    def build(*neurons, kind="feature_decoder", nonlinearity="relu", density=0.25):
        size = neurons[0].answers.shape[1]
        task = Task(kind=kind, num_features=size, num_inputs=size, feature_density=density)
        undo = np.linalg.inv(projections(task, 0).inputs.numpy().astype(np.float64))
        answers = np.vstack([one.answers for one in neurons])
        member = Member(
            seed=0, num_neurons=len(answers), nonlinearity=nonlinearity, learning_rate=0.01
        )
        return Network(
            member,
            task,
            encoder=(answers @ undo).astype(np.float32),
            bias=np.concatenate(
                [np.full(len(one.answers), one.bias, np.float32) for one in neurons]
            ),
            decoder=np.vstack([one.says for one in neurons]).astype(np.float32),
        )

    return build


@pytest.fixture(scope="session")
def rows():
    return Rows


@pytest.fixture(scope="session")
def directions():
    """A function that draws orthonormal rows ``[rank, size]``."""

    def draw(rank, size, seed=0):
        rng = np.random.default_rng(seed)
        return np.linalg.qr(rng.standard_normal((size, rank)))[0].T

    return draw
