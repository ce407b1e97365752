"""What a network is asked to do: its inputs, its targets, and the loss of saying nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from trainers.features import SparseFeatures, Stream, draw_uniform, generator
from trainers.names import FEATURE_DISTRIBUTIONS
from trainers.settings import check_name, check_number


@dataclass(frozen=True, kw_only=True)
class Task:
    """What all networks of a cohort are asked to do.

    Attributes:
        kind: A name of ``names.TASK_KINDS``.
        num_features: Features, N.
        num_inputs: Inputs the model sees, m, at most N.
        feature_density: Probability that a feature is non-zero, in (0, 1].
        feature_distribution: A name of ``names.FEATURE_DISTRIBUTIONS``.
    """

    kind: str
    num_features: int
    num_inputs: int
    feature_density: float
    feature_distribution: str = "uniform"


class Block(NamedTuple):
    """The samples of one step.

    Attributes:
        inputs: What the model sees. Shape ``[B, m]``.
        positions: Places of the non-zero targets in a flattened ``[B, N]``.
        values: The targets there.
    """

    inputs: Tensor
    positions: Tensor
    values: Tensor


@dataclass(frozen=True)
class Samples:
    """Samples in blocks of equal size, with sparse targets; a block is one step's batch.

    Attributes:
        inputs: What the model sees. Shape ``[num_blocks, B, m]``.
        positions: Places of the non-zero targets in their block's flattened ``[B, N]``.
            Shape ``[num_nonzero]``, int64.
        values: The targets there. Shape ``[num_nonzero]``.
        starts: Block i's targets are ``positions[starts[i]:starts[i + 1]]``.
    """

    inputs: Tensor
    positions: Tensor
    values: Tensor
    starts: tuple[int, ...]

    def blocks(self, here: slice = slice(None)) -> list[Block]:
        """The blocks of a range of indices."""
        sizes = [end - start for start, end in pairwise(self.starts)]
        positions, values = torch.split(self.positions, sizes), torch.split(self.values, sizes)
        return [
            Block(*block)
            for block in zip(self.inputs.unbind()[here], positions[here], values[here], strict=True)
        ]

    def to(self, device: torch.device, dtype: torch.dtype) -> "Samples":
        """The same samples on a device, inputs and values in ``dtype``."""
        return Samples(
            inputs=self.inputs.to(device, dtype),
            positions=self.positions.to(device),
            values=self.values.to(device, dtype),
            starts=self.starts,
        )


def decoder_samples(
    features: SparseFeatures, projection: Tensor, num_blocks: int, batch_size: int
) -> Samples:
    """Inputs ``P f`` and targets ``f``.

    Args:
        features: ``num_blocks * batch_size`` samples.
        projection: P. Shape ``[m, N]``.
        num_blocks: Blocks to split them into.
        batch_size: Samples in a block, B.

    Source: Jermyn et al. 2022, the feature decoder.
    """
    num_features = projection.shape[1]
    num_samples = num_blocks * batch_size
    block_size = batch_size * num_features
    bags = np.searchsorted(features.positions, np.arange(num_samples) * num_features)
    values = torch.from_numpy(features.values)
    inputs = embedding_bag(
        torch.from_numpy(features.positions % num_features),
        projection.T.contiguous(),
        torch.from_numpy(bags),
        mode="sum",
        per_sample_weights=values,
    )
    starts = (*bags[::batch_size].tolist(), len(features.positions))
    return Samples(
        inputs=inputs.view(num_blocks, batch_size, -1),
        positions=torch.from_numpy(features.positions % block_size),
        values=values,
        starts=starts,
    )


@dataclass(frozen=True)
class TaskKind:
    """The functions behind a task's name.

    Attributes:
        num_outputs: Outputs of the network.
        zero_loss: Expected loss of answering zero to everything.
        samples: Features to samples; see ``decoder_samples``.
    """

    num_outputs: Callable[[Task], int]
    zero_loss: Callable[[Task], float]
    samples: Callable[[SparseFeatures, Tensor, int, int], Samples]


TASKS: dict[str, TaskKind] = {
    "feature_decoder": TaskKind(
        num_outputs=lambda task: task.num_features,
        # N features, each non-zero with probability eps, the mean square of a uniform being 1/3.
        zero_loss=lambda task: task.num_features * task.feature_density / 3,
        samples=decoder_samples,
    ),
}


def draw_samples(
    task: Task,
    projection: Tensor,
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
        projection: P of this seed, on the CPU. Shape ``[m, N]``.
        seed: Whose stream.
        stream: ``Stream.TRAINING`` or ``Stream.HELD_OUT``.
        chunk: Which chunk of it.
        num_blocks: Blocks in a chunk.
        batch_size: Samples in a block.
    """
    rng = generator(seed, stream, chunk)
    size = num_blocks * batch_size * task.num_features
    features = draw_uniform(rng, size, task.feature_density)
    return TASKS[task.kind].samples(features, projection, num_blocks, batch_size)


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
