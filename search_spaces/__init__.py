"""What a sweep may vary, in plain Python: parameters, spaces, and the spaces that have names."""

from search_spaces.conditions import Condition, ConditionProblem, condition_problems
from search_spaces.grid import grid_of, grid_size
from search_spaces.named import NAMED_SPACES, NamedSpace, bias_and_width, bias_width_and_rate
from search_spaces.parameters import Choice, Float, Int, Parameter, Value
from search_spaces.space import Space

__all__ = [
    "NAMED_SPACES",
    "Choice",
    "Condition",
    "ConditionProblem",
    "Float",
    "Int",
    "NamedSpace",
    "Parameter",
    "Space",
    "Value",
    "bias_and_width",
    "bias_width_and_rate",
    "condition_problems",
    "grid_of",
    "grid_size",
]
