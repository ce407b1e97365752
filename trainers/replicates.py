"""What the members of one seed share: projection, held-out samples and the data stream."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainers.features import Stream
from trainers.precision import PRODUCT_DTYPES
from trainers.samples import Samples
from trainers.settings import Task, TrainingSettings
from trainers.sizes import HELD_OUT_BLOCK_SIZE, HELD_OUT_BLOCKS, chunk_steps
from trainers.tasks import Projections, draw_samples, projections


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
