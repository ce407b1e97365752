import pytest
import torch
from torch.nn import functional

from trainers.model import NONLINEARITIES, initial_weights, num_weights, split
from trainers.passes import Passes

ACTIVATIONS = {"relu": torch.relu, "gelu": functional.gelu, "solu": lambda x: x * torch.exp(x)}


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

    passes = Passes(weights, nonlinearity, batch)
    gradient = split(torch.empty_like(flat), k, m)
    norms = torch.empty(num_networks)
    passes.forward_(inputs)
    passes.subtract_sparse_(positions, values)
    passes.error_norms_(norms.unbind())
    half_l1 = None if l1 is None else torch.tensor(l1).view(-1, 1, 1) / 2
    passes.gradients_(inputs, gradient, half_l1)

    targets = torch.zeros(batch * n, dtype=torch.float64)
    targets[positions] = values.double()
    for row in range(num_networks):
        w1, b, w2 = (
            tensor[row].double().clone().requires_grad_(True) for tensor in weights.tensors
        )
        hidden = ACTIVATIONS[name](inputs.double() @ w1.T + b)
        loss = (hidden @ w2 - targets.view(batch, n)).square().sum() / batch
        assert norms[row].item() ** 2 / batch == pytest.approx(loss.item(), rel=1e-5)
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
        passes = Passes(weights, NONLINEARITIES[name], 32)
        gradient = split(torch.empty_like(weights.flat), 64, 8)
        norm = torch.empty(1)
        passes.forward_(inputs.to(dtype))
        passes.error_norms_(norm.unbind())
        passes.gradients_(inputs.to(dtype), gradient, None)
        results.append((norm, gradient.flat.float()))
    (norm, gradient), (norm16, gradient16) = results
    # bfloat16 has 8 bits: single roundings of 0.4 %, a few of them one upon the other.
    torch.testing.assert_close(norm16, norm, rtol=0.01, atol=0)
    assert (gradient16 - gradient).norm() < 0.02 * gradient.norm()


@pytest.mark.parametrize("name", NONLINEARITIES)
def test_padded_neurons_get_no_gradient(name):
    weights = initial_weights(0, 50, 8, 16, 0.5)
    inputs = torch.randn(32, 8, generator=torch.Generator().manual_seed(2))
    passes = Passes(weights, NONLINEARITIES[name], 32)
    gradient = split(torch.full_like(weights.flat, 9.0), 64, 8)
    passes.forward_(inputs)
    passes.gradients_(inputs, gradient, torch.tensor([[[0.05]]]))
    for tensor in gradient.tensors:
        assert not tensor[:, 50:].any()
        assert tensor[:, :50].any()


def test_relu_on_bits_is_relu_on_bfloat16():
    # Every bfloat16 there is but the NaNs, and its neighbours' gradient.
    numbers = torch.arange(-(2**15), 2**15).to(torch.int16).view(torch.bfloat16)
    numbers = numbers[~numbers.isnan()]
    relu = NONLINEARITIES["relu"]
    seen = relu.view(numbers.clone())
    hidden = relu.apply(seen, seen).view(torch.bfloat16)
    assert torch.equal(hidden, numbers.clamp_min(0))
    grad = torch.ones_like(numbers)
    relu.scale_(relu.view(grad), seen, seen)
    assert torch.equal(grad, (numbers > 0).to(torch.bfloat16))
