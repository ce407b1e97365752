"""The loop that a user would write: autograd, dense samples, one model at a time."""

import math
from collections.abc import Iterator

import torch
from torch_optimizer import Lamb


def plain_loop(
    num_features: int, num_inputs: int, num_neurons: int, batch_size: int, density: float
) -> Iterator[float]:
    """Train one feature decoder in float32; each item is the loss of one more step."""
    torch.manual_seed(0)
    left = torch.linalg.svd(torch.randn(num_features, num_inputs), full_matrices=False).U
    projection = left / left.norm(dim=1, keepdim=True)
    model = torch.nn.Sequential(
        torch.nn.Linear(num_inputs, num_neurons),
        torch.nn.ReLU(),
        torch.nn.Linear(num_neurons, num_features, bias=False),
    )
    # The constants of the paper, which are also this package's.
    optimizer = Lamb(model.parameters(), lr=0.01, betas=(0.9, 0.999), eps=1e-6, clamp_value=10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (1 + math.cos(math.pi * step / 512)) / 2
    )
    while True:
        present = torch.rand(batch_size, num_features) < density
        features = present * torch.rand(batch_size, num_features)
        loss = (model(features @ projection) - features).square().sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        yield loss.item()
