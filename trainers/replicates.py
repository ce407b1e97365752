"""What the members of one seed share: projection, held-out samples and the data stream."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainers.features import Stream
from trainers.precision import PRODUCT_DTYPES
from trainers.samples import Samples
from trainers.settings import TrainingSettings
from trainers.tasks import Projections, Task, draw_samples, projections

# A chunk of the data stream is this many steps, or fewer where that would be more numbers than
# this (8 MB in float32); it depends on the task and the batch alone, never on the members.
CHUNK_STEPS = 32
CHUNK_NUMBERS = 2**21

HELD_OUT_BLOCKS = 16
HELD_OUT_BLOCK_SIZE = 512


@dataclass(frozen=True, eq=False)
class Replicate:
    """What the members of one seed share.

    Attributes:
        projections: The fixed matrices, on the CPU.
        device_projection: P on the device. Shape ``[m, N]``.
        held_out: The samples that losses are reported on.
    """

    projections: Projections
    device_projection: Tensor
    held_out: Samples


def begin_replicate(task: Task, seed: int, device: torch.device) -> Replicate:
    """The projections and the held-out samples of a seed, which every member of it shares."""
    seen = projections(task, seed)
    held_out = draw_samples(
        task,
        seen,
        seed=seed,
        stream=Stream.HELD_OUT,
        num_blocks=HELD_OUT_BLOCKS,
        batch_size=HELD_OUT_BLOCK_SIZE,
    )
    return Replicate(seen, seen.inputs.to(device), held_out.to(device, torch.float32))


def chunk_steps(task: Task, settings: TrainingSettings) -> int:
    """Steps in one chunk of the data stream."""
    sample_numbers = task.num_inputs + task.num_features * task.feature_density
    fitting = int(CHUNK_NUMBERS / (settings.batch_size * sample_numbers))
    return max(1, min(CHUNK_STEPS, fitting))


def draw_chunk(
    replicate: Replicate, task: Task, settings: TrainingSettings, seed: int, chunk: int
) -> Samples:
    """One chunk of a seed's data stream, on the device and in the products' dtype."""
    samples = draw_samples(
        task,
        replicate.projections,
        seed=seed,
        stream=Stream.TRAINING,
        chunk=chunk,
        num_blocks=chunk_steps(task, settings),
        batch_size=settings.batch_size,
    )
    return samples.to(torch.device(settings.device), PRODUCT_DTYPES[settings.precision])
