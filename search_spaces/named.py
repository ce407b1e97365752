"""The spaces a sweep file may call by name.

Source: A. S. Jermyn, N. Schiefer, E. Hubinger, *Engineering Monosemanticity in Toy Models*,
arXiv:2211.09169 (2022), whose settings the ranges are made of.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from search_spaces.parameters import Float, Int
from search_spaces.space import Space

# The paper starts at a mean bias of -1 at density 1/64, and finds that the useful bias goes with
# the square root of the density: -8 * sqrt(1/64) = -1.
BIAS_PER_ROOT_DENSITY = -8.0

# The paper's E-batches: bias decay 0.001 to 0.03 over 2**17 steps.
PAPER_STEPS = 2**17
PAPER_DECAY_LOW = 0.001
PAPER_DECAY_HIGH = 0.03

# A step multiplies the bias by 1 - bias_decay * learning_rate; half of it a step is already gone
# in a few, and 1 or more would turn it round.
LARGEST_PULL_PER_STEP = 0.5

# Widths are padded to multiples of this for the matrix products, so widths between cost the same.
WIDTH_STEP = 64

# Learning rates of the second space, as multiples of the one given.
RATE_LOW = 0.1
RATE_HIGH = 5.0


def bias_and_width(
    *, feature_density: float, num_steps: int, learning_rate: float, num_neurons: int
) -> Space:
    """Initial bias, bias decay and width; the learning rate stays the one given.

    - ``initial_bias`` from ``-8 * sqrt(feature_density)``, the paper's -1 at density 1/64, to 0.
    - ``bias_decay`` over the logarithm, the paper's 0.001 to 0.03 times ``2**17 / num_steps``, so
      that a shorter run feels the same total pull ``bias_decay * learning_rate * num_steps / 2``;
      at most ``0.5 / learning_rate``.
    - ``num_neurons`` from half to twice the model's width, in steps of 64; a width that is no
      multiple of 128 takes the largest power of two that divides its half, or 1.

    Args:
        feature_density: Probability that a feature is non-zero, in (0, 1].
        num_steps: Steps of a training.
        learning_rate: Top of the schedule.
        num_neurons: The model's width.
    """
    return Space(
        {
            "initial_bias": _initial_bias(feature_density),
            "bias_decay": _bias_decay(num_steps, learning_rate),
            "num_neurons": _width(num_neurons),
        }
    )


def bias_width_and_rate(
    *, feature_density: float, num_steps: int, learning_rate: float, num_neurons: int
) -> Space:
    """As ``bias_and_width``, and the learning rate from a tenth to five times the one given.

    The largest bias decay is capped for the largest rate.

    Args:
        feature_density: Probability that a feature is non-zero, in (0, 1].
        num_steps: Steps of a training.
        learning_rate: Top of the schedule of the model the sweep compares with.
        num_neurons: The model's width.
    """
    largest_rate = RATE_HIGH * learning_rate
    return Space(
        {
            "initial_bias": _initial_bias(feature_density),
            "bias_decay": _bias_decay(num_steps, largest_rate),
            "num_neurons": _width(num_neurons),
            "learning_rate": Float(RATE_LOW * learning_rate, largest_rate, log=True),
        }
    )


def _initial_bias(feature_density: float) -> Float:
    return Float(BIAS_PER_ROOT_DENSITY * math.sqrt(feature_density), 0.0)


def _bias_decay(num_steps: int, largest_rate: float) -> Float:
    longer = PAPER_STEPS / num_steps
    cap = LARGEST_PULL_PER_STEP / largest_rate
    high = min(PAPER_DECAY_HIGH * longer, cap)
    return Float(min(PAPER_DECAY_LOW * longer, high), high, log=True)


def _width(num_neurons: int) -> Int:
    half = max(1, num_neurons // 2)
    # The step must divide the way from half the width to the width, or the width is not in it.
    way = num_neurons - half
    step = math.gcd(way, WIDTH_STEP) if way else 1
    return Int(half, 2 * num_neurons, step=step)


@dataclass(frozen=True)
class NamedSpace:
    """A space with a name.

    Attributes:
        build: Plain numbers to the space; takes ``feature_density``, ``num_steps``,
            ``learning_rate`` and ``num_neurons`` by name.
        description: One line for people.
    """

    build: Callable[..., Space]
    description: str


NAMED_SPACES: dict[str, NamedSpace] = {
    "bias_and_width": NamedSpace(
        bias_and_width,
        "Initial bias, bias decay and width; the learning rate stays the baseline's.",
    ),
    "bias_width_and_rate": NamedSpace(
        bias_width_and_rate,
        "Initial bias, bias decay, width and learning rate; needs a tuned baseline.",
    ),
}
