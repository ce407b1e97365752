"""The loop that a user would write: autograd, dense samples, one model at a time."""

import math
from collections.abc import Iterator

import torch
from machine_limit import Sizes
from torch_optimizer import Lamb


def plain_loop(sizes: Sizes, density: float, device: str = "cpu") -> Iterator[float]:
    """Train one feature decoder in float32; each item is the loss of one more step."""
    torch.manual_seed(0)
    gaussian = torch.randn(sizes.num_features, sizes.num_inputs, device=device)
    left = torch.linalg.svd(gaussian, full_matrices=False).U
    projection = left / left.norm(dim=1, keepdim=True)
    model = torch.nn.Sequential(
        torch.nn.Linear(sizes.num_inputs, sizes.num_neurons),
        torch.nn.ReLU(),
        torch.nn.Linear(sizes.num_neurons, sizes.num_features, bias=False),
    ).to(device)
    # The constants of the paper, which are also this package's.
    optimizer = Lamb(model.parameters(), lr=0.01, betas=(0.9, 0.999), eps=1e-6, clamp_value=10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (1 + math.cos(math.pi * step / 512)) / 2
    )
    shape = sizes.batch_size, sizes.num_features
    while True:
        present = torch.rand(shape, device=device) < density
        features = present * torch.rand(shape, device=device)
        loss = (model(features @ projection) - features).square().sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        yield loss.item()
