import pytest
import torch

from trainers.model import Weights, split
from trainers.optimizers import OPTIMIZERS, Pace, zeros_like

LAMB = OPTIMIZERS["lamb"]


def weights_of(encoder, bias, decoder) -> Weights:
    """Networks from nested lists ``[T, k, m]``, ``[T, k]``, ``[T, k, N]``."""
    parts = [torch.tensor(part, dtype=torch.float32) for part in (encoder, bias, decoder)]
    num_networks, width, num_inputs = parts[0].shape
    flat = torch.cat([part.reshape(num_networks, -1) for part in parts], dim=1)
    return split(flat, width, num_inputs)


def step(weights, gradient, rate):
    pace = Pace(torch.tensor([[rate]]), 0)
    LAMB.update_(LAMB.init(weights), weights, gradient, zeros_like(weights), pace)


def test_first_step_by_hand():
    # W1 = (3, 4), norm 5, gradient (0.1, -0.2). After one step the first moment is 0.1 * g =
    # (0.01, -0.02), the second 0.001 * g^2, its root sqrt(0.001) * |g| = (0.00316228, 0.00632456).
    # The step is first / (root + 1e-6) = (3.161278, -3.161778), its norm 4.471070, the trust ratio
    # 5 / 4.471070 = 1.118300. At rate 0.1 W1 becomes (3 - 0.353526, 4 + 0.353582).
    # b = 0: trust ratio 1; gradient 0.1, so b becomes -0.1 * 3.161278.
    # W2 = (30), clipped to 10; gradient 0.1: step 3.161278, ratio 10 / 3.161278: 30 - 0.1 * 10.
    weights = weights_of([[[3.0, 4.0]]], [[0.0]], [[[30.0]]])
    gradient = weights_of([[[0.1, -0.2]]], [[0.1]], [[[0.1]]])
    step(weights, gradient, 0.1)
    assert weights.encoder.flatten().tolist() == pytest.approx([2.646474, 4.353582], abs=2e-6)
    assert weights.bias.item() == pytest.approx(-0.3161278, abs=1e-6)
    assert weights.decoder.item() == pytest.approx(29.0, abs=1e-5)


def test_a_gradient_of_zero_moves_nothing():
    weights = weights_of([[[3.0, 4.0]]], [[1.0]], [[[2.0]]])
    gradient = weights_of([[[0.0, 0.0]]], [[0.0]], [[[0.0]]])
    step(weights, gradient, 0.1)
    assert weights.flat.tolist() == [[3.0, 4.0, 1.0, 2.0]]


def lamb_loop(tensors, gradients, rate, num_steps):
    """LAMB for separate tensors, in float64, from the algorithm's published form."""
    tensors = [tensor.double().clone() for tensor in tensors]
    moments = [(torch.zeros_like(t), torch.zeros_like(t)) for t in tensors]
    for step in range(num_steps):
        for tensor, (m, v), gradient in zip(tensors, moments, gradients(step), strict=True):
            g = gradient.double()
            m[:] = 0.9 * m + 0.1 * g
            v[:] = 0.999 * v + 0.001 * g * g
            u = m / (v.sqrt() + 1e-6)
            w_norm, u_norm = min(tensor.norm().item(), 10.0), u.norm().item()
            ratio = w_norm / u_norm if w_norm > 0 and u_norm > 0 else 1.0
            tensor.sub_(rate * ratio * u)
    return tensors


def test_several_networks_against_a_loop_over_tensors():
    num_networks, width, num_inputs, num_outputs, num_steps = 3, 4, 2, 5, 12
    size = width * (num_inputs + 1 + num_outputs)
    rng = torch.Generator().manual_seed(0)
    flat = torch.randn(num_networks, size, generator=rng)
    flat[1] *= 20  # norms above the clip
    start = split(flat.clone(), width, num_inputs)
    start.bias[2] = 0.0  # the trust ratio of a zero tensor
    steps = [torch.randn(num_networks, size, generator=rng) for _ in range(num_steps)]
    rates = torch.tensor([[0.01], [0.03], [0.1]])

    trained = split(start.flat.clone(), width, num_inputs)
    moments = LAMB.init(trained)
    for number, step in enumerate(steps):
        gradient = split(step.clone(), width, num_inputs)
        LAMB.update_(moments, trained, gradient, zeros_like(trained), Pace(rates, number))

    for row, rate in enumerate([0.01, 0.03, 0.1]):
        expected = lamb_loop(
            [tensor[row] for tensor in start.tensors],
            lambda step, row=row: [t[row] for t in split(steps[step], width, num_inputs).tensors],
            rate,
            num_steps,
        )
        for tensor, reference in zip(trained.tensors, expected, strict=True):
            torch.testing.assert_close(tensor[row].double(), reference, rtol=1e-4, atol=1e-6)


TORCH_OPTIMIZERS = {
    "adam": lambda params, rate: torch.optim.Adam(params, rate, foreach=False),
    "adamw": lambda params, rate: torch.optim.AdamW(params, rate, foreach=False),
    "sgd": lambda params, rate: torch.optim.SGD(params, rate, momentum=0.9, foreach=False),
}


@pytest.mark.parametrize("name", TORCH_OPTIMIZERS)
@pytest.mark.parametrize("rates", [[0.1], [0.01, 0.1]])
def test_the_same_as_torch_optim(name, rates):
    # torch.optim in float64, one network and tensor at a time, with its own defaults.
    num_steps, rng = 12, torch.Generator().manual_seed(0)
    start = split(torch.randn(len(rates), 4 * 8, generator=rng), 4, 2)
    steps = [torch.randn(len(rates), 4 * 8, generator=rng) for _ in range(num_steps)]
    optimizer = OPTIMIZERS[name]
    trained = split(start.flat.clone(), 4, 2)
    moments, direction = optimizer.init(trained), zeros_like(trained)
    for number, gradient in enumerate(steps):
        # The rate changes from step to step, as a schedule would have it.
        pace = Pace(torch.tensor(rates).view(-1, 1) / (number + 1), number)
        optimizer.update_(moments, trained, split(gradient.clone(), 4, 2), direction, pace)

    for row, rate in enumerate(rates):
        param = torch.nn.Parameter(start.flat[row].double())
        reference = TORCH_OPTIMIZERS[name]([param], rate)
        for number, gradient in enumerate(steps):
            reference.param_groups[0]["lr"] = rate / (number + 1)
            param.grad = gradient[row].double()
            reference.step()
        torch.testing.assert_close(trained.flat[row].double(), param.data, rtol=1e-5, atol=1e-6)
