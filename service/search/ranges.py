"""Optuna's words for what varies."""

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search_spaces import Choice, Float, Int, Space


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Optuna's words for what varies in a space."""
    return {name: _distribution(parameter) for name, parameter in space.varied.items()}


def _distribution(parameter: Float | Int | Choice) -> BaseDistribution:
    match parameter:
        case Float(low=low, high=high, log=log):
            return FloatDistribution(low, high, log=log)
        case Int(low=low, high=high, step=step, log=log):
            return IntDistribution(low, high, step=step, log=log)
        case Choice(options=options):
            return CategoricalDistribution(options)
