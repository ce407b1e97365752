"""The paper's 21 batches of trainings: what each varies, and all that it keeps.

Source: A. S. Jermyn, N. Schiefer, E. Hubinger, *Engineering Monosemanticity in Toy Models*,
arXiv:2211.09169 (2022), table 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from search_spaces.named import PAPER_STEPS

Grid = tuple[float, ...]
"""The values that a batch tries of one setting, in ascending order."""

# Every batch's budget: each network sees so many batches of so many samples.
NUM_STEPS = PAPER_STEPS
BATCH_SIZE = 2**13

LEARNING_RATES: Grid = (0.001, 0.003, 0.005, 0.007, 0.01, 0.03)
INITIAL_BIASES: Grid = (-2.0, -1.7, -1.4, -1.1, -0.8, -0.5, -0.2, 0.1, 0.4, 0.7, 1.0)
WIDTHS: Grid = (16, 32, 64, 128, 256, 512, 1024, 2048)
# 11 from 1/32 to 1/2, spread evenly over the logarithm.
DENSITIES: Grid = tuple(2.0 ** (-5.0 + 0.4 * index) for index in range(11))
STRENGTHS: Grid = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Trainings that differ in what is a grid; of two grids in every combination.

    Attributes:
        name: The paper's name for it.
        task: ``feature_decoder``, ``random_reprojector`` or ``absolute_value``.
        nonlinearity: ``relu`` or ``gelu``.
        feature_distribution: ``uniform`` or ``power_law``.
        num_features: Features, N.
        num_inputs: Inputs, m.
        num_neurons: Neurons, k, or a grid of them.
        feature_density: Probability that a feature is non-zero, or a grid.
        learning_rate: Top of the cycling schedule, or a grid.
        bias_decay: In the first half of training each step multiplies the biases by
            ``1 - bias_decay * learning_rate``; or a grid.
        initial_bias: Mean that is added to every bias at the start, or a grid.
        l1: Weight of the L1 penalty on the hidden activations, or a grid.
    """

    name: str
    task: str = "feature_decoder"
    nonlinearity: str = "relu"
    feature_distribution: str = "uniform"
    num_features: int = 512
    num_inputs: int = 64
    num_neurons: int | Grid = 1024
    feature_density: float | Grid = 1 / 64
    learning_rate: float | Grid
    bias_decay: float | Grid = 0.03
    initial_bias: float | Grid = -1.0
    l1: float | Grid = 0.0

    @property
    def grids(self) -> Mapping[str, Grid]:
        """What varies: the grids by the setting's name, in the order of the fields above."""
        return {name: value for name, value in vars(self).items() if isinstance(value, tuple)}

    def values(self, name: str) -> Grid:
        """All values that a setting has in the batch: its grid, or its one value."""
        value = getattr(self, name)
        return value if isinstance(value, tuple) else (value,)


_BATCHES = (
    Batch(name="LR1", learning_rate=LEARNING_RATES, bias_decay=0.0, initial_bias=0.0),
    Batch(
        name="LR2",
        learning_rate=LEARNING_RATES,
        bias_decay=0.0,
        initial_bias=0.0,
        feature_distribution="power_law",
    ),
    Batch(name="LR3", learning_rate=LEARNING_RATES),
    Batch(name="LR4", learning_rate=LEARNING_RATES, feature_distribution="power_law"),
    Batch(name="LR5", learning_rate=LEARNING_RATES, task="absolute_value", num_neurons=2048),
    *(
        Batch(
            name=name,
            learning_rate=0.003,
            bias_decay=bias_decay,
            initial_bias=INITIAL_BIASES,
            feature_density=feature_density,
        )
        for name, feature_density, bias_decay in (
            ("B1", 1 / 16, 0.03),
            ("B2", 1 / 32, 0.003),
            ("B3", 1 / 64, 0.003),
            ("B4", 1 / 128, 0.003),
            ("B5", 1 / 256, 0.003),
        )
    ),
    Batch(
        name="G3",
        learning_rate=LEARNING_RATES,
        initial_bias=INITIAL_BIASES,
        nonlinearity="gelu",
    ),
    *(
        Batch(name=name, learning_rate=0.003, bias_decay=bias_decay, feature_density=DENSITIES)
        for name, bias_decay in (("E1", 0.03), ("E2", 0.01), ("E3", 0.003), ("E4", 0.001))
    ),
    Batch(name="K0", learning_rate=0.007, num_neurons=WIDTHS, bias_decay=0.0, initial_bias=0.0),
    Batch(name="K1", learning_rate=0.007, num_neurons=WIDTHS),
    Batch(name="K2", learning_rate=0.007, num_neurons=WIDTHS, feature_distribution="power_law"),
    Batch(name="RG1", learning_rate=0.005, l1=STRENGTHS),
    Batch(name="RP1", learning_rate=LEARNING_RATES, task="random_reprojector"),
    Batch(
        name="D1",
        learning_rate=0.007,
        bias_decay=STRENGTHS,
        task="absolute_value",
        num_neurons=2048,
    ),
)

BATCHES: Mapping[str, Batch] = {batch.name: batch for batch in _BATCHES}
