"""The ``objective`` of a sweep file: what is made larger or smaller, and what must be kept."""

from typing import Annotated, Any, get_args

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from service.spec.fields import Within, nearest, refused
from service.spec.space import MAX_WIDTH, Part, Width, without_default
from trainers.names import METRICS, Metric

# What a trial reports beside its metrics.
OTHER_NUMBERS = ("loss_ratio", "num_neurons", "train_s")
NUMBERS = (*METRICS, *OTHER_NUMBERS)
MAX_GOALS = 3
DEFAULT_GOAL: Metric = "monosemantic_per_feature"
assert DEFAULT_GOAL in get_args(Metric)

_MUST = f"one of {', '.join(NUMBERS)}, or a list of them"


def _names(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names:
        raise refused(_MUST, "Write one of the names.")
    for name in names:
        if name not in NUMBERS:
            meant = nearest(name, NUMBERS)
            raise refused(_MUST, f"Did you mean {meant}?" if meant else "Write one of the names.")
    if len(set(names)) < len(names):
        raise refused("different names", "Remove the repeated one.")
    return tuple(names)


def _as_written(names: tuple[str, ...]) -> str | list[str] | None:
    """One name bare, as people write it and as the first versions recorded it."""
    if len(names) < 2:
        return names[0] if names else None
    return list(names)


_NAME = {"enum": list(NUMBERS), "type": "string"}

Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_names),
    PlainSerializer(_as_written),
    WithJsonSchema(
        {
            "anyOf": [
                _NAME,
                {"type": "array", "items": _NAME, "minItems": 1, "uniqueItems": True},
                {"type": "null"},
            ]
        }
    ),
]

Share = Annotated[float, Within(0, 1)]
PerFeature = Annotated[float, Within(0, MAX_WIDTH)]
Amount = Annotated[float, Within(0, 10**9)]
Count = Annotated[int, Within(0, MAX_WIDTH)]


def _bound(description: str) -> Any:
    return Field(
        default=None,
        description=description,
        json_schema_extra=without_default,
    )


class LimitsSpec(Part):
    """Bounds of reported numbers, by name."""

    loss: Amount = _bound("Squared error summed over outputs, on held-out samples.")
    monosemantic_per_feature: PerFeature = _bound("Monosemantic neurons over features.")
    monosemantic_per_neuron: Share = _bound("Monosemantic neurons over neurons.")
    feature_coverage: Share = _bound("Share of features that have a monosemantic neuron.")
    concentration_per_feature: PerFeature = _bound(
        "For each feature the concentrations of all neurons, a soft score."
    )
    num_dead: Count = _bound("Neurons that answer to nothing.")
    mean_bias: Annotated[float, Within(-(10**6), 10**6)] = _bound("Mean of the biases.")
    monosemantic_per_feature_published: PerFeature = _bound(
        "Monosemantic neurons over features, counted as in the paper."
    )
    loss_ratio: Amount = _bound("Loss over the baseline's on the same seeds.")
    num_neurons: Width = _bound("Neurons, which the search space varies.")
    train_s: Amount = _bound(
        "Seconds of training, a trial's networks summed: a measured time, so that the same sweep "
        "run again is not the same."
    )

    @model_serializer(mode="wrap")
    def _only_named(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        settings: dict[str, Any] = handler(self)
        return {name: bound for name, bound in settings.items() if name in self.model_fields_set}

    def bounds(self) -> dict[str, float]:
        """The bounds that are given, by name."""
        return {
            name: float(getattr(self, name))
            for name in type(self).model_fields
            if name in self.model_fields_set
        }


class ObjectiveSpec(Part):
    """What the search makes larger or smaller, and what it may cost."""

    maximize: Names = Field(
        default=(),
        description="What to make larger, a number or a list: "
        "monosemantic_per_feature (what is maximised where nothing is said) and "
        "monosemantic_per_neuron count neurons that answer to one feature, feature_coverage the "
        "features that have one; concentration_per_feature sums the concentrations of all neurons "
        "for each feature, a soft score. Up to three objectives in all give a Pareto front. Ties "
        "go to fewer neurons, then to the lower loss ratio, then to the earlier trial.",
    )
    minimize: Names = Field(
        default=(),
        description="What to make smaller: loss, loss_ratio (over the baseline's), num_neurons, or "
        "any other number. train_s, the seconds of training, is measured: a sweep with it is not "
        "the same sweep twice.",
    )
    loss_margin: Annotated[float | None, Within(0, 1, hint=": 0.02 means 2%")] = Field(
        default=0.02,
        description="How far the loss may rise above the baseline's, as a fraction: 0.02 is 2%; "
        "null for no ceiling.",
    )
    at_most: LimitsSpec = Field(
        default=LimitsSpec(), description="The most that a number of a feasible trial may be."
    )
    at_least: LimitsSpec = Field(
        default=LimitsSpec(), description="The least that a number of a feasible trial may be."
    )

    @model_validator(mode="before")
    @classmethod
    def _default_goal(cls, value: Any) -> Any:
        if isinstance(value, dict) and not {"maximize", "minimize"} & value.keys():
            return {"maximize": DEFAULT_GOAL, **value}
        return value

    @property
    def num_goals(self) -> int:
        """How many objectives there are."""
        return len(self.maximize) + len(self.minimize)
