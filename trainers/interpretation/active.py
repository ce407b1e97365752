"""Samples in which exactly so many features are active."""

import numpy as np
from numpy.typing import NDArray

from trainers.features import DISTRIBUTIONS, SparseFeatures, Stream, generator
from trainers.networks import Network
from trainers.samples import Samples
from trainers.tasks import TASKS

NUM_BLOCKS = 4
BLOCK_SIZE = 512


def active_counts(num_features: int) -> NDArray[np.int64]:
    """0, and the powers of two up to the number of features."""
    return np.array([0, *(2**power for power in range(num_features.bit_length()))], dtype=np.int64)


def samples_with_active(network: Network, num_active: int) -> Samples:
    """2048 samples of a network's task in which exactly so many features are not zero.

    Which ones is drawn one after the other, each in proportion to its density; values are uniform
    on [0, 1), with an even chance for each sign where the task's features are signed.

    Args:
        network: Whose task and seed.
        num_active: From 0 to N.
    """
    task, kind = network.task, TASKS[network.task.kind]
    rng = generator(network.member.seed, Stream.ACTIVE_COUNTS, num_active)
    num_samples = NUM_BLOCKS * BLOCK_SIZE
    densities = DISTRIBUTIONS[task.feature_distribution].densities(
        task.num_features, task.feature_density
    )
    # The first of exponential arrivals at these rates are draws without replacement.
    arrivals = rng.standard_exponential((num_samples, task.num_features)) / densities
    chosen = np.sort(np.argsort(arrivals, axis=1)[:, :num_active], axis=1)
    positions = (np.arange(num_samples)[:, None] * task.num_features + chosen).ravel()
    values = rng.random(len(positions), dtype=np.float32)
    values *= rng.choice(np.array(kind.signs, dtype=np.float32), len(positions))
    features = SparseFeatures(positions, values)
    return kind.samples(features, network.projections, NUM_BLOCKS, BLOCK_SIZE)
