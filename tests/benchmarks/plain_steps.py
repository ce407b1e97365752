"""A feature decoder and the steps of its training, as a user of PyTorch would write them."""

import math
from collections.abc import Callable, Iterator

import torch
from machine_limit import Sizes
from torch import Tensor

HALF_PERIOD = 512


def plain_model(sizes: Sizes, seed: int, device: str = "cpu") -> tuple[Tensor, torch.nn.Sequential]:
    """The projection, ``[N, m]``, and a network that is not trained yet."""
    torch.manual_seed(seed)
    gaussian = torch.randn(sizes.num_features, sizes.num_inputs, device=device)
    left = torch.linalg.svd(gaussian, full_matrices=False).U
    model = torch.nn.Sequential(
        torch.nn.Linear(sizes.num_inputs, sizes.num_neurons),
        torch.nn.ReLU(),
        torch.nn.Linear(sizes.num_neurons, sizes.num_features, bias=False),
    )
    return left / left.norm(dim=1, keepdim=True), model.to(device)


def plain_steps(
    model: torch.nn.Module,
    projection: Tensor,
    optimizer: torch.optim.Optimizer,
    draw: Callable[[], Tensor],
    *,
    half: bool = False,
) -> Iterator[Tensor]:
    """Train with a cycling cosine schedule; each item is the loss of one more step.

    The rate is still that of the step when the step's loss is handed out.

    Args:
        model: What is trained.
        projection: From features to inputs. Shape ``[N, m]``.
        optimizer: Of the model's parameters.
        draw: Brings a batch of features. Shape ``[B, N]``.
        half: Whether to multiply in bfloat16.
    """
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (1 + math.cos(math.pi * step / HALF_PERIOD)) / 2
    )
    device = projection.device.type
    while True:
        features = draw()
        with torch.autocast(device, torch.bfloat16, enabled=half):
            loss = (model(features @ projection) - features).square().sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss
        schedule.step()
