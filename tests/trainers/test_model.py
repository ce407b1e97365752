import numpy as np
import pytest
import torch

from trainers.model import initial_weights
from trainers.sizes import padded_width


@pytest.mark.parametrize(("width", "padded"), [(1, 64), (63, 64), (64, 64), (65, 128), (500, 512)])
def test_padded_width(width, padded):
    assert padded_width(width) == padded


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
