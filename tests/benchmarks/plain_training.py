"""One feature decoder, trained as a user of PyTorch would: autograd, Adam, one model at a time.

Either as torch's pages have it: the optimiser as it comes, products in float32, features drawn as
the published code of toy models draws them (values, then which of them are there), and metrics at
the steps at which ours are taken, so that both sweeps end with the same curves. Or tuned: the fused
optimiser, products in bfloat16 where the processor has them (``torch.autocast``), one draw for
presence and value, metrics of the trained network alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import torch
from machine_limit import Sizes
from plain_steps import plain_model, plain_steps
from torch import Tensor

DENSITY = 1 / 64
LEARNING_RATE = 0.01
HELD_OUT = 8192
MONOSEMANTIC_ABOVE = 0.999
# How often the loss is reported on the way of a tuned training: its quarters.
NUM_REPORTS = 4


@dataclass(frozen=True)
class Training:
    """What one network is trained with.

    Attributes:
        sizes: The task's sizes, the network's and the batch's.
        num_steps: Steps.
        seed: Of the projection, the network and the samples.
        initial_bias: Mean of the biases at first.
        bias_decay: In the first half every step ends with ``bias *= 1 - bias_decay * rate``.
    """

    sizes: Sizes
    num_steps: int
    seed: int
    initial_bias: float = 0.0
    bias_decay: float = 0.0


def features(num_samples: int, num_features: int) -> Tensor:
    """Sparse features, each there with its density and then even in (0, 1). ``[B, N]``."""
    values = torch.rand(num_samples, num_features)
    return torch.where(torch.rand(num_samples, num_features) < DENSITY, values, 0.0)


def features_of_one_draw(num_samples: int, num_features: int) -> Tensor:
    """The same: what is below the density is even below it."""
    drawn = torch.rand(num_samples, num_features)
    return torch.where(drawn < DENSITY, drawn / DENSITY, 0.0)


def train(training: Training, *, tuned: bool, half: bool) -> Iterator[dict[str, Any]]:
    """Train a network; each item is what is reported, the last one with the end's metrics.

    Args:
        training: What with.
        tuned: Whether speed decides what the pages leave open.
        half: Whether to multiply in bfloat16.
    """
    sizes, num_steps = training.sizes, training.num_steps
    projection, model = plain_model(sizes, training.seed)
    bias = model[0].bias
    with torch.no_grad():
        bias += training.initial_bias
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=tuned or None)
    drawn = features_of_one_draw if tuned else features
    draw = partial(drawn, sizes.batch_size, sizes.num_features)
    steps = plain_steps(model, projection, optimizer, draw, half=half)
    for step, loss in enumerate(islice(steps, num_steps), start=1):
        if training.bias_decay and step <= num_steps // 2:
            with torch.no_grad():
                bias *= 1 - training.bias_decay * optimizer.param_groups[0]["lr"]
        is_on_curve = step & (step - 1) == 0 and not tuned
        if step == num_steps or is_on_curve:
            yield {"training_loss": loss.item(), **_evaluated(model, projection)}
        elif tuned and step % max(num_steps // NUM_REPORTS, 1) == 0:
            yield {"training_loss": loss.item()}


@torch.no_grad()
def _evaluated(model: torch.nn.Sequential, projection: Tensor) -> dict[str, float]:
    """The loss on samples held out, and the neurons that answer to one feature only over N."""
    num_features = len(projection)
    wanted = features(HELD_OUT, num_features)
    loss = (model(wanted @ projection) - wanted).square().sum(dim=1).mean()
    # Each feature alone; [N, k].
    answers = model[:2](projection)
    concentration = answers.amax(dim=0) / (1e-10 + answers.sum(dim=0))
    monosemantic = int((concentration > MONOSEMANTIC_ABOVE).sum())
    return {"loss": loss.item(), "monosemantic_per_feature": monosemantic / num_features}
