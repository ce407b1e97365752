"""The batches against the paper's table 1, written out row by row."""

from dataclasses import FrozenInstanceError

import pytest

from search_spaces.paper import BATCHES

RATES = (0.001, 0.003, 0.005, 0.007, 0.01, 0.03)
BIASES = (-2.0, -1.7, -1.4, -1.1, -0.8, -0.5, -0.2, 0.1, 0.4, 0.7, 1.0)
WIDTHS = (16, 32, 64, 128, 256, 512, 1024, 2048)
# 2^-5, 2^-4.6, ... 2^-1, to seven digits.
DENSITIES = (
    *(0.03125, 0.04123462, 0.05440941, 0.07179365, 0.09473229, 0.125),
    *(0.1649385, 0.2176376, 0.2871746, 0.3789291, 0.5),
)
POWERS = (0.0000001, 0.000001, 0.00001, 0.0001, 0.001, 0.01, 0.1)

DECODER, REPROJECTOR, ABSOLUTE = "feature_decoder", "random_reprojector", "absolute_value"
EQUAL, POWER = "uniform", "power_law"

# task, act., features, N, m, k, eps, lr, bias decay, initial bias, L1
TABLE = {
    "LR1": (DECODER, "relu", EQUAL, 512, 64, 1024, 1 / 64, RATES, 0, 0, 0),
    "LR2": (DECODER, "relu", POWER, 512, 64, 1024, 1 / 64, RATES, 0, 0, 0),
    "LR3": (DECODER, "relu", EQUAL, 512, 64, 1024, 1 / 64, RATES, 0.03, -1, 0),
    "LR4": (DECODER, "relu", POWER, 512, 64, 1024, 1 / 64, RATES, 0.03, -1, 0),
    "LR5": (ABSOLUTE, "relu", EQUAL, 512, 64, 2048, 1 / 64, RATES, 0.03, -1, 0),
    "B1": (DECODER, "relu", EQUAL, 512, 64, 1024, 1 / 16, 0.003, 0.03, BIASES, 0),
    "B2": (DECODER, "relu", EQUAL, 512, 64, 1024, 1 / 32, 0.003, 0.003, BIASES, 0),
    "B3": (DECODER, "relu", EQUAL, 512, 64, 1024, 1 / 64, 0.003, 0.003, BIASES, 0),
    "B4": (DECODER, "relu", EQUAL, 512, 64, 1024, 1 / 128, 0.003, 0.003, BIASES, 0),
    "B5": (DECODER, "relu", EQUAL, 512, 64, 1024, 1 / 256, 0.003, 0.003, BIASES, 0),
    "G3": (DECODER, "gelu", EQUAL, 512, 64, 1024, 1 / 64, RATES, 0.03, BIASES, 0),
    "E1": (DECODER, "relu", EQUAL, 512, 64, 1024, DENSITIES, 0.003, 0.03, -1, 0),
    "E2": (DECODER, "relu", EQUAL, 512, 64, 1024, DENSITIES, 0.003, 0.01, -1, 0),
    "E3": (DECODER, "relu", EQUAL, 512, 64, 1024, DENSITIES, 0.003, 0.003, -1, 0),
    "E4": (DECODER, "relu", EQUAL, 512, 64, 1024, DENSITIES, 0.003, 0.001, -1, 0),
    "K0": (DECODER, "relu", EQUAL, 512, 64, WIDTHS, 1 / 64, 0.007, 0, 0, 0),
    "K1": (DECODER, "relu", EQUAL, 512, 64, WIDTHS, 1 / 64, 0.007, 0.03, -1, 0),
    "K2": (DECODER, "relu", POWER, 512, 64, WIDTHS, 1 / 64, 0.007, 0.03, -1, 0),
    "RG1": (DECODER, "relu", EQUAL, 512, 64, 1024, 1 / 64, 0.005, 0.03, -1, POWERS),
    "RP1": (REPROJECTOR, "relu", EQUAL, 512, 64, 1024, 1 / 64, RATES, 0.03, -1, 0),
    "D1": (ABSOLUTE, "relu", EQUAL, 512, 64, 2048, 1 / 64, 0.007, POWERS, -1, 0),
}

COLUMNS = ("task", "nonlinearity", "feature_distribution", "num_features", "num_inputs")
NUMBERS = ("num_neurons", "feature_density", "learning_rate", "bias_decay", "initial_bias", "l1")


def test_there_are_the_papers_21_in_its_order():
    assert list(BATCHES) == list(TABLE)
    assert len(BATCHES) == 21


@pytest.mark.parametrize("name", TABLE)
def test_a_row(name):
    batch, row = BATCHES[name], TABLE[name]
    assert batch.name == name
    assert tuple(getattr(batch, column) for column in COLUMNS) == row[: len(COLUMNS)]
    for column, expected in zip(NUMBERS, row[len(COLUMNS) :], strict=True):
        assert getattr(batch, column) == pytest.approx(expected, rel=1e-6), column
        is_grid = isinstance(expected, tuple)
        assert (column in batch.grids) == is_grid
        assert batch.values(column) == pytest.approx(expected if is_grid else (expected,), rel=1e-6)


def test_a_batch_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        BATCHES["LR1"].l1 = 1.0
