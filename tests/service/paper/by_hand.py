"""Networks whose neurons are known, looked into: their weights are given as what they do."""

import numpy as np
from numpy.typing import NDArray

from service.interpreted import Interpreted
from service.paper.understanding import Understood
from trainers import Member, Network, Task
from trainers.interpretation import finding_of, interpret
from trainers.tasks import projections

N = 16
Matrix = NDArray[np.float64]
# What neurons answer to, shape [k, N]; their bias; what they say, shape [k, N].
Neurons = tuple[Matrix, float, Matrix]


def one_each(share: float, times: int = 1) -> Neurons:
    """Monosemantic neurons, so many for each feature, which give back so much of it together."""
    each = np.tile(np.eye(N), (times, 1))
    return each, -1e-3, share / times * each


def pairs(share: float, rank: int = N) -> Neurons:
    """Neurons v and -v for each of so many directions, together a share of an identity.

    With a bias of 10 all are always above their thresholds, and what is constant cancels.
    """
    rng = np.random.default_rng(0)
    v = np.linalg.qr(rng.standard_normal((N, rank)))[0].T
    both = np.vstack([v, -v])
    return both, 10.0, share / 2 * both


def constant(count: int) -> Neurons:
    """Polysemantic neurons that say a little of all features."""
    return np.ones((count, N)), 1.0, 1e-3 * np.ones((count, N))


def silent(count: int) -> Neurons:
    """Polysemantic neurons that say nothing."""
    return np.ones((count, N)), 1.0, np.zeros((count, N))


def understood_by_hand(batch: str, *neurons: Neurons, kind: str = "feature_decoder") -> Understood:
    """A network of N features and as many inputs, so that P can be undone."""
    task = Task(kind=kind, num_features=N, num_inputs=N, feature_density=0.25)
    undo = np.linalg.inv(projections(task, 0).inputs.numpy().astype(np.float64))
    answers = np.vstack([one[0] for one in neurons])
    network = Network(
        Member(seed=0, num_neurons=len(answers), nonlinearity="relu", learning_rate=0.01),
        task,
        encoder=(answers @ undo).astype(np.float32),
        bias=np.concatenate([np.full(len(one[0]), one[1], np.float32) for one in neurons]),
        decoder=np.vstack([one[2] for one in neurons]).astype(np.float32),
    )
    numbers = interpret(network)
    found = Interpreted("search/0", "By hand.", {}, finding_of(numbers), numbers, {})
    return Understood(batch, found)
