import numpy as np
import pytest
import torch
from torch.nn import functional

from trainers.model import (
    NONLINEARITIES,
    empty_activations,
    forward_,
    gradients_,
    initial_weights,
    num_weights,
    padded_width,
    split,
    squared_error,
    subtract_targets_,
)

ACTIVATIONS = {"relu": torch.relu, "gelu": functional.gelu, "solu": lambda x: x * torch.exp(x)}


@pytest.mark.parametrize(("width", "padded"), [(1, 64), (63, 64), (64, 64), (65, 128), (500, 512)])
def test_padded_width(width, padded):
    assert padded_width(width) == padded


@pytest.mark.parametrize("name", NONLINEARITIES)
@pytest.mark.parametrize("l1", [None, [0.0, 0.3]])
def test_gradients_are_those_of_autograd(name, l1):
    num_networks, batch, m, k, n = 2, 6, 3, 4, 5
    rng = torch.Generator().manual_seed(1)
    flat = torch.randn(num_networks, num_weights(k, m, n), generator=rng)
    inputs = torch.randn(batch, m, generator=rng)
    positions = torch.tensor([0, 7, 8, 29])
    values = torch.rand(4, generator=rng)
    weights = split(flat, k, m)
    nonlinearity = NONLINEARITIES[name]

    work = empty_activations(weights, batch, nonlinearity)
    gradient = split(torch.empty_like(flat), k, m)
    subtract_targets_(forward_(weights, inputs, nonlinearity, work), positions, values)
    losses = squared_error(work)
    penalty = None if l1 is None else torch.tensor(l1)
    gradients_(weights, inputs, nonlinearity, work, l1=penalty, gradient=gradient)

    targets = torch.zeros(batch * n, dtype=torch.float64)
    targets[positions] = values.double()
    for row in range(num_networks):
        w1, b, w2 = (
            tensor[row].double().clone().requires_grad_(True) for tensor in weights.tensors
        )
        hidden = ACTIVATIONS[name](inputs.double() @ w1.T + b)
        loss = (hidden @ w2 - targets.view(batch, n)).square().sum() / batch
        assert losses[row].item() == pytest.approx(loss.item(), rel=1e-5)
        total = loss + (0.0 if l1 is None else l1[row]) * hidden.abs().sum() / batch
        expected = torch.autograd.grad(total, (w1, b, w2))
        for found, reference in zip(gradient.tensors, expected, strict=True):
            torch.testing.assert_close(found[row].double(), reference, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NONLINEARITIES)
def test_one_network_in_bfloat16_is_near_float32(name):
    start = initial_weights(0, 64, 8, 16, 0.1)
    inputs = torch.randn(32, 8, generator=torch.Generator().manual_seed(2))
    results = []
    for dtype in (torch.float32, torch.bfloat16):
        weights = split(start.flat.to(dtype), 64, 8)
        work = empty_activations(weights, 32, NONLINEARITIES[name])
        gradient = split(torch.empty_like(weights.flat), 64, 8)
        forward_(weights, inputs.to(dtype), NONLINEARITIES[name], work)
        loss = squared_error(work)
        arguments = (weights, inputs.to(dtype), NONLINEARITIES[name], work)
        gradients_(*arguments, l1=None, gradient=gradient)
        results.append((loss, gradient.flat.float()))
    (loss, gradient), (loss16, gradient16) = results
    assert loss16.dtype == torch.float32
    # bfloat16 has 8 bits: single roundings of 0.4 %, a few of them one upon the other.
    torch.testing.assert_close(loss16, loss, rtol=0.02, atol=0)
    assert (gradient16 - gradient).norm() < 0.02 * gradient.norm()


@pytest.mark.parametrize("name", NONLINEARITIES)
def test_padded_neurons_get_no_gradient(name):
    weights = initial_weights(0, 50, 8, 16, 0.5)
    inputs = torch.randn(32, 8, generator=torch.Generator().manual_seed(2))
    work = empty_activations(weights, 32, NONLINEARITIES[name])
    gradient = split(torch.full_like(weights.flat, 9.0), 64, 8)
    forward_(weights, inputs, NONLINEARITIES[name], work)
    gradients_(
        weights,
        inputs,
        NONLINEARITIES[name],
        work,
        l1=torch.tensor([0.1]),
        gradient=gradient,
    )
    for tensor in gradient.tensors:
        assert not tensor[:, 50:].any()
        assert tensor[:, :50].any()


def test_initial_weights_are_uniform_within_the_fan_in():
    weights = initial_weights(4, 1000, 16, 50, -0.7)
    for tensor, bound, centre in [
        (weights.encoder[0, :1000], 1 / 4, 0.0),
        (weights.bias[0, :1000], 1 / 4, -0.7),
        (weights.decoder[0, :1000], 1 / np.sqrt(1000), 0.0),
    ]:
        unit = (tensor.double() - centre) / bound
        assert unit.abs().max() <= 1 + 1e-6
        # A uniform on [-1, 1] has variance 1/3 and kurtosis 1.8, so var(x^2) = 4/45.
        assert abs(unit.mean()) < 5 * np.sqrt(1 / 3 / unit.numel())
        assert abs(unit.square().mean() - 1 / 3) < 5 * np.sqrt(4 / 45 / unit.numel())


def test_a_narrow_network_begins_with_the_first_rows_of_a_wide_one():
    narrow, wide = initial_weights(4, 50, 16, 20, 0.0), initial_weights(4, 200, 16, 20, 0.0)
    torch.testing.assert_close(narrow.encoder[0, :50], wide.encoder[0, :50], rtol=0, atol=0)
    torch.testing.assert_close(narrow.bias[0, :50], wide.bias[0, :50], rtol=0, atol=0)
    # fan-in scales W2: 1/sqrt(50) against 1/sqrt(200)
    torch.testing.assert_close(narrow.decoder[0, :50], 2 * wide.decoder[0, :50])


def test_padding_starts_at_zero_and_seeds_differ():
    weights = initial_weights(4, 50, 16, 20, -1.0)
    for tensor in weights.tensors:
        assert tensor.shape[1] == 64
        assert not tensor[:, 50:].any()
    assert not torch.equal(weights.flat, initial_weights(5, 50, 16, 20, -1.0).flat)
