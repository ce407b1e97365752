"""The loop that a user would write: autograd, dense samples, one model at a time."""

from collections.abc import Iterator

import torch
from machine_limit import Sizes
from plain_steps import plain_model, plain_steps
from torch_optimizer import Lamb


def plain_loop(sizes: Sizes, density: float, device: str = "cpu") -> Iterator[float]:
    """Train one feature decoder in float32; each item is the loss of one more step."""
    projection, model = plain_model(sizes, seed=0, device=device)
    # The constants of the paper, which are also this package's.
    optimizer = Lamb(model.parameters(), lr=0.01, betas=(0.9, 0.999), eps=1e-6, clamp_value=10)
    shape = sizes.batch_size, sizes.num_features

    def draw() -> torch.Tensor:
        present = torch.rand(shape, device=device) < density
        return present * torch.rand(shape, device=device)

    return (loss.item() for loss in plain_steps(model, projection, optimizer, draw))
