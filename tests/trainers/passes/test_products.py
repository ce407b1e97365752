import numpy as np
import pytest
import torch

from trainers.passes.products import products

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("num_networks", [1, 3])
def test_products_are_numpys(num_networks, dtype):
    draw = torch.Generator().manual_seed(0)

    def numbers(*shape):
        # Halves and small integers: bfloat16 holds them, their sums and products exactly.
        whole = torch.randint(-2, 3, (num_networks, *shape), generator=draw) / 2
        return whole.to(dtype) if num_networks > 1 else whole[0].to(dtype)

    inputs, encoder, bias = numbers(5, 7), numbers(64, 7), numbers(1, 64)
    hidden, decoder = numbers(5, 64), numbers(64, 9)
    ours = products(num_networks, dtype, CPU)
    pre, outputs, gradient = numbers(5, 64), numbers(5, 9), numbers(64, 7)
    ours.affine(inputs, encoder.mT, bias, pre)
    ours.scaled(hidden, decoder, 1.0, outputs)
    ours.scaled(hidden.mT, inputs, 0.25, gradient)

    def there(array):
        return array.double().numpy()

    np.testing.assert_array_equal(
        there(pre), there(inputs) @ there(encoder).swapaxes(-1, -2) + there(bias)
    )
    np.testing.assert_array_equal(there(outputs), there(hidden) @ there(decoder))
    np.testing.assert_array_equal(
        there(gradient), 0.25 * there(hidden).swapaxes(-1, -2) @ there(inputs)
    )


def test_a_stale_buffer_is_overwritten():
    out = torch.full((2, 2), float("nan"))
    eye = torch.eye(2)
    products(1, torch.float32, CPU).scaled(eye, eye, 1.0, out)
    assert out.tolist() == eye.tolist()


def test_without_onednn_torchs_own_products_are_taken(monkeypatch):
    with_it = products(1, torch.float32, CPU)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    without = products(1, torch.float32, CPU)
    assert without == products(1, torch.bfloat16, CPU)
    left, right = torch.rand(6, 64), torch.rand(64, 4)
    outputs = [torch.empty(6, 4) for _ in range(2)]
    with_it.scaled(left, right, 2.0, outputs[0])
    without.scaled(left, right, 2.0, outputs[1])
    torch.testing.assert_close(*outputs)
