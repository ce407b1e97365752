"""What a network is asked to do: its inputs, its targets, and the loss of saying nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from trainers.features import (
    DISTRIBUTIONS,
    SparseFeatures,
    Stream,
    generator,
    projection,
)
from trainers.names import FEATURE_DISTRIBUTIONS
from trainers.samples import DenseTargets, Samples, SparseTargets
from trainers.settings import Task, check_name, check_number


class Projections(NamedTuple):
    """The fixed matrices of one seed, each ``[m, N]``.

    Attributes:
        inputs: P, through which the model sees the features.
        targets: Q, through which the re-projector is to show them.
    """

    inputs: Tensor
    targets: Tensor


def projections(task: Task, seed: int) -> Projections:
    """The fixed matrices of a seed."""
    streams = (Stream.PROJECTION, Stream.REPROJECTION)
    sizes = task.num_inputs, task.num_features
    return Projections(*(torch.from_numpy(projection(seed, *sizes, one)) for one in streams))


def draw_features(task: Task, rng: np.random.Generator, num_samples: int) -> SparseFeatures:
    """Features f, each at its density."""
    draw = DISTRIBUTIONS[task.feature_distribution].draw
    return draw(rng, num_samples, task.num_features, task.feature_density)


def draw_differences(task: Task, rng: np.random.Generator, num_samples: int) -> SparseFeatures:
    """Signed features f1 - f2, drawn independently, each at half the density."""
    draw = DISTRIBUTIONS[task.feature_distribution].draw
    sizes = num_samples, task.num_features, task.feature_density / 2
    return draw(rng, *sizes).minus(draw(rng, *sizes))


def decoder_samples(
    features: SparseFeatures, seen: Projections, num_blocks: int, batch_size: int
) -> Samples:
    """Inputs ``P f`` and targets ``f``.

    Args:
        features: ``num_blocks * batch_size`` samples.
        seen: The fixed matrices.
        num_blocks: Blocks to split them into.
        batch_size: Samples in a block, B.

    Source: Jermyn et al. 2022, the feature decoder.
    """
    num_features = seen.inputs.shape[1]
    bags, columns = _rows(features, num_features, num_blocks * batch_size)
    values = torch.from_numpy(features.values)
    block_size = batch_size * num_features
    places = features.positions - features.positions // block_size * block_size
    starts = (*bags[::batch_size].tolist(), len(places))
    return Samples(
        inputs=_seen_through(seen.inputs, bags, columns, values).view(num_blocks, batch_size, -1),
        targets=SparseTargets(torch.from_numpy(places), values, starts),
    )


def absolute_value_samples(
    features: SparseFeatures, seen: Projections, num_blocks: int, batch_size: int
) -> Samples:
    """Inputs ``P f`` and targets ``abs(f)``, f being signed; see ``decoder_samples``.

    Source: Jermyn et al. 2022, the absolute-value task.
    """
    signed = decoder_samples(features, seen, num_blocks, batch_size)
    sparse = signed.targets
    assert isinstance(sparse, SparseTargets)
    return Samples(
        signed.inputs, SparseTargets(sparse.positions, sparse.values.abs(), sparse.starts)
    )


def reprojector_samples(
    features: SparseFeatures, seen: Projections, num_blocks: int, batch_size: int
) -> Samples:
    """Inputs ``P f`` and targets ``Q f``; see ``decoder_samples``.

    Source: Jermyn et al. 2022, the random re-projector.
    """
    num_features = seen.inputs.shape[1]
    bags, columns = _rows(features, num_features, num_blocks * batch_size)
    values = torch.from_numpy(features.values)
    inputs, targets = (
        _seen_through(matrix, bags, columns, values).view(num_blocks, batch_size, -1)
        for matrix in seen
    )
    return Samples(inputs, DenseTargets(targets))


def _rows(features: SparseFeatures, num_features: int, num_samples: int) -> tuple[Tensor, Tensor]:
    """Where each sample's features begin ``[num_samples]``, and which feature each one is."""
    samples = features.positions // num_features
    counts = np.bincount(samples, minlength=num_samples)
    bags = np.cumsum(counts) - counts
    return torch.from_numpy(bags), torch.from_numpy(features.positions - samples * num_features)


def _seen_through(matrix: Tensor, bags: Tensor, columns: Tensor, values: Tensor) -> Tensor:
    """Samples seen through ``[m, N]``. Shape ``[num_samples, m]``."""
    return embedding_bag(
        columns, matrix.T.contiguous(), bags, mode="sum", per_sample_weights=values
    )


def _mean_square(task: Task) -> float:
    """Expected sum of squares of the features, the mean square of a uniform being 1/3."""
    densities = DISTRIBUTIONS[task.feature_distribution].densities
    return float(densities(task.num_features, task.feature_density).sum() / 3)


def _mean_square_difference(task: Task) -> float:
    """Expected sum of squares of f1 - f2: ``2 * p / 3 - 2 * (p / 2)**2`` each at density p."""
    densities = DISTRIBUTIONS[task.feature_distribution].densities
    each = densities(task.num_features, task.feature_density / 2)
    return float((2 * each / 3 - each**2 / 2).sum())


@dataclass(frozen=True)
class TaskKind:
    """What is behind a task's name.

    Attributes:
        num_outputs: Outputs of the network.
        zero_loss: Expected loss of answering zero to everything.
        features: Draws the features of samples; see ``draw_features``.
        samples: Features to samples; see ``decoder_samples``.
        signs: The values at which one feature alone is shown to a neuron to see what it answers.
    """

    num_outputs: Callable[[Task], int]
    zero_loss: Callable[[Task], float]
    features: Callable[[Task, np.random.Generator, int], SparseFeatures]
    samples: Callable[[SparseFeatures, Projections, int, int], Samples]
    signs: tuple[int, ...] = (1,)


TASKS: dict[str, TaskKind] = {
    "feature_decoder": TaskKind(
        num_outputs=lambda task: task.num_features,
        zero_loss=_mean_square,
        features=draw_features,
        samples=decoder_samples,
    ),
    "random_reprojector": TaskKind(
        num_outputs=lambda task: task.num_inputs,
        # Columns of Q have unit norm, and their products are 0 on average over Q.
        zero_loss=_mean_square,
        features=draw_features,
        samples=reprojector_samples,
    ),
    "absolute_value": TaskKind(
        num_outputs=lambda task: task.num_features,
        zero_loss=_mean_square_difference,
        features=draw_differences,
        samples=absolute_value_samples,
        signs=(1, -1),
    ),
}


def draw_samples(
    task: Task,
    seen: Projections,
    *,
    seed: int,
    stream: Stream,
    chunk: int = 0,
    num_blocks: int,
    batch_size: int,
) -> Samples:
    """Draw one chunk of a stream; the same arguments always give the same samples.

    Args:
        task: The task.
        seen: The fixed matrices of this seed, on the CPU.
        seed: Whose stream.
        stream: ``Stream.TRAINING`` or ``Stream.HELD_OUT``.
        chunk: Which chunk of it.
        num_blocks: Blocks in a chunk.
        batch_size: Samples in a block.
    """
    kind = TASKS[task.kind]
    features = kind.features(task, generator(seed, stream, chunk), num_blocks * batch_size)
    return kind.samples(features, seen, num_blocks, batch_size)


def check_task(task: Task) -> None:
    """Refuse a task that cannot be drawn.

    Raises:
        ValueError: If a size or density is impossible or a name unknown.
    """
    check_name("task.kind", task.kind, TASKS)
    check_name("feature_distribution", task.feature_distribution, FEATURE_DISTRIBUTIONS)
    check_number("num_features", task.num_features, low=1)
    check_number("num_inputs", task.num_inputs, low=1)
    if task.num_inputs > task.num_features:
        raise ValueError(
            f"num_inputs must be at most num_features, found {task.num_inputs} > "
            f"{task.num_features}. Lower num_inputs."
        )
    if not 0 < task.feature_density <= 1:
        raise ValueError(
            f"feature_density must be in (0, 1], found {task.feature_density}. "
            "Give the probability that a feature is non-zero."
        )
