import pytest
import torch
from torch.nn import functional

from trainers.features import Stream, generator
from trainers.model import NONLINEARITIES, initial_weights, split
from trainers.names import FEATURE_DISTRIBUTIONS, TASK_KINDS
from trainers.passes.dense import DensePasses
from trainers.settings import Task
from trainers.sizes import num_weights
from trainers.tasks import TASKS, draw_samples, projections

ACTIVATIONS = {"relu": torch.relu, "gelu": functional.gelu, "solu": lambda x: x * torch.exp(x)}


@pytest.mark.parametrize("kind", TASK_KINDS)
@pytest.mark.parametrize("distribution", FEATURE_DISTRIBUTIONS)
@pytest.mark.parametrize("name", NONLINEARITIES)
@pytest.mark.parametrize("l1", [None, [0.0, 0.3]])
def test_gradients_are_those_of_autograd(kind, distribution, name, l1):
    num_networks, batch, m, k, num_features = 2, 6, 3, 4, 5
    task = Task(
        kind=kind,
        num_features=num_features,
        num_inputs=m,
        feature_density=0.4,
        feature_distribution=distribution,
    )
    seen = projections(task, 0)
    sizes = {"seed": 0, "stream": Stream.TRAINING, "num_blocks": 1, "batch_size": batch}
    (block,) = draw_samples(task, seen, **sizes).blocks()
    num_outputs = TASKS[kind].num_outputs(task)
    flat = torch.randn(num_networks, num_weights(k, m, num_outputs), generator=torch.manual_seed(1))
    weights = split(flat, k, m)

    passes = DensePasses(weights, NONLINEARITIES[name], batch)
    gradient = split(torch.empty_like(flat), k, m)
    norms = torch.empty(num_networks)
    passes.forward_(block.inputs)
    block.targets.subtract_from_(passes)
    passes.error_norms_(norms)
    half_l1 = None if l1 is None else torch.tensor(l1).view(-1, 1, 1) / 2
    passes.gradients_(block.inputs, gradient, half_l1)

    drawn = TASKS[kind].features(task, generator(0, Stream.TRAINING), batch)
    features = torch.zeros(batch * num_features, dtype=torch.float64)
    features[drawn.positions] = torch.from_numpy(drawn.values).double()
    features = features.view(batch, num_features)
    targets = {
        "feature_decoder": features,
        "random_reprojector": features @ seen.targets.T.double(),
        "absolute_value": features.abs(),
    }[kind]
    for row in range(num_networks):
        w1, b, w2 = (
            tensor[row].double().clone().requires_grad_(True) for tensor in weights.tensors
        )
        hidden = ACTIVATIONS[name](features @ seen.inputs.T.double() @ w1.T + b)
        loss = (hidden @ w2 - targets).square().sum() / batch
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
        passes = DensePasses(weights, NONLINEARITIES[name], 32)
        gradient = split(torch.empty_like(weights.flat), 64, 8)
        norm = torch.empty(1)
        passes.forward_(inputs.to(dtype))
        passes.error_norms_(norm)
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
    passes = DensePasses(weights, NONLINEARITIES[name], 32)
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
