"""What one network is and what the networks of a cohort share; imports neither torch nor numpy."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from trainers.names import NONLINEARITIES, OPTIMIZERS, PRECISIONS, SCHEDULES

# Seeds are one 64-bit word of a Philox key.
SEED_LIMIT = 2**64


@dataclass(frozen=True, kw_only=True)
class Task:
    """What all networks of a cohort are asked to do.

    Attributes:
        kind: A name of ``names.TASK_KINDS``.
        num_features: Features, N.
        num_inputs: Inputs the model sees, m, at most N.
        feature_density: Probability that a feature is non-zero, in (0, 1].
        feature_distribution: A name of ``names.FEATURE_DISTRIBUTIONS``.
    """

    kind: str
    num_features: int
    num_inputs: int
    feature_density: float
    feature_distribution: str = "uniform"


@dataclass(frozen=True, kw_only=True)
class Member:
    """One network to train: one replicate of one trial.

    Attributes:
        seed: Chooses the projection, the data stream and the initial noise.
        num_neurons: Hidden neurons, k.
        nonlinearity: A name of ``names.NONLINEARITIES``.
        learning_rate: Top of the schedule.
        initial_bias: Added to every neuron's bias at the start.
        bias_decay: In the first half of training every step ends with
            ``bias *= 1 - bias_decay * learning_rate``.
        l1: Weight of ``sum(abs(hidden)) / batch_size`` in what is minimised.
    """

    seed: int
    num_neurons: int
    nonlinearity: str = "relu"
    learning_rate: float
    initial_bias: float = 0.0
    bias_decay: float = 0.0
    l1: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What all members of a cohort share.

    Attributes:
        num_steps: Steps of a whole training.
        batch_size: Samples a step.
        optimizer: A name of ``names.OPTIMIZERS``.
        schedule: A name of ``names.SCHEDULES``.
        precision: Numbers of the matrix products, a name of ``names.PRECISIONS``.
        device: A torch device.
    """

    num_steps: int
    batch_size: int
    optimizer: str = "lamb"
    schedule: str = "cycling_cosine"
    precision: str = "float32"
    device: str = "cpu"


def check_name(what: str, name: str, names: Iterable[str]) -> None:
    """Refuse a name that is not one of ``names``.

    Raises:
        ValueError: If it is not.
    """
    names = tuple(names)
    if name not in names:
        raise ValueError(f"{what} must be one of {', '.join(names)}, found {name!r}. Use one.")


def check_number(what: str, value: float, *, low: float = -math.inf) -> None:
    """Refuse a number that is not finite or lies below ``low``.

    Raises:
        ValueError: If it is or does.
    """
    if not math.isfinite(value):
        raise ValueError(f"{what} must be finite, found {value}. Give a number.")
    if value < low:
        raise ValueError(f"{what} must be at least {low}, found {value}. Raise it.")


def check_member(member: Member) -> None:
    """Refuse a member that cannot be trained.

    Raises:
        ValueError: If a number is not finite or out of range, or the nonlinearity unknown.
    """
    if not 0 <= member.seed < SEED_LIMIT:
        raise ValueError(f"seed must be in [0, 2**64), found {member.seed}. Use such a seed.")
    check_number("num_neurons", member.num_neurons, low=1)
    check_name("nonlinearity", member.nonlinearity, NONLINEARITIES)
    check_number("learning_rate", member.learning_rate, low=0)
    check_number("initial_bias", member.initial_bias)
    check_number("bias_decay", member.bias_decay, low=0)
    check_number("l1", member.l1, low=0)
    pull = member.bias_decay * member.learning_rate
    if pull >= 1:
        raise ValueError(
            f"bias_decay * learning_rate must be below 1, found {pull:g}: each step would turn "
            "the biases round. Lower one of them."
        )


def check_settings(settings: TrainingSettings) -> None:
    """Refuse settings that cannot be trained with.

    Raises:
        ValueError: If a count is below 1 or a name unknown.
    """
    check_number("num_steps", settings.num_steps, low=1)
    check_number("batch_size", settings.batch_size, low=1)
    check_name("optimizer", settings.optimizer, OPTIMIZERS)
    check_name("schedule", settings.schedule, SCHEDULES)
    check_name("precision", settings.precision, PRECISIONS)
