"""The ``search_space`` mapping of a sweep file: what each parameter may be."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    ValidationInfo,
    model_serializer,
    model_validator,
)
from pydantic.config import JsonDict

from search_spaces import Choice, Condition, Float, Int, Parameter, Space, Value
from service.spec.fields import Must, OneOf, Within, refused
from trainers.names import NonlinearityName

MAX_WIDTH = 2**16
MAX_OPTIONS = 1024
MAX_POINTS = 2**16
# The context in which settings are read again that were valid when they were recorded.
RECORDED = {"recorded": True}

LearningRate = Annotated[float, Within(0, 1, above=True)]
InitialBias = Annotated[float, Within(-100, 100)]
Strength = Annotated[float, Within(0, 1_000_000)]
Width = Annotated[int, Within(1, MAX_WIDTH)]
Nonlinearity = Annotated[NonlinearityName, OneOf()]

_VALUE_NAMES = {
    LearningRate: "LearningRate",
    InitialBias: "InitialBias",
    Strength: "Strength",
    Width: "Width",
    Nonlinearity: "Nonlinearity",
}


class Part(BaseModel):
    """A mapping in a sweep file: frozen, strictly typed, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _pair(value: Any) -> Any:
    if not isinstance(value, list) or len(value) != 2:
        raise refused("two numbers, [low, high]", "Write both ends of the range.")
    return tuple(value)


def _options(value: Any) -> Any:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_OPTIONS:
        raise refused(
            f"a list of 1 to {MAX_OPTIONS} options", "Write the options, such as [0.1, 0.2]."
        )
    return tuple(value)


T = TypeVar("T")
Log = Annotated[bool, Must("true or false", "Write true or false.")]


Setting = float | int | str
"""What a setting may be; strict, so that true is none."""


def _listed(value: Any) -> Any:
    """One value is a list of it."""
    if not isinstance(value, dict) or not value:
        return value
    lists = {name: one if isinstance(one, list) else [one] for name, one in value.items()}
    return {name: tuple(one) for name, one in lists.items()}


When = Annotated[
    dict[str, Annotated[tuple[Setting, ...], Field(min_length=1)]],
    Field(min_length=1),
    Must(
        "a mapping of other parameters to a value of theirs, or to a list of values",
        "Write one, such as {nonlinearity: gelu}.",
    ),
    BeforeValidator(_listed, json_schema_input_type=dict[str, Setting | list[Setting]]),
]


class Form(Part, ABC):
    """One way to let a parameter vary."""

    when: When | None = Field(
        default=None,
        description="Where it varies: other parameters of the space, each with the value or the "
        "list of values that it must have. Elsewhere it keeps its model or training value.",
    )

    @model_serializer(mode="wrap")
    def _without_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        settings: dict[str, Any] = handler(self)
        unused = {"when", "points"}
        return {
            name: entry
            for name, entry in settings.items()
            if entry is not None or name not in unused
        }

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """The name that the JSON Schema has for it, such as ``WidthIntRange``."""
        return f"{_VALUE_NAMES[params[0]]}{cls.__name__}"

    @abstractmethod
    def parameter(self) -> Parameter:
        """The parameter it describes."""


class FloatRange(Form, Generic[T]):
    """Any number in a range."""

    bounds: Annotated[tuple[T, T], BeforeValidator(_pair)] = Field(
        alias="float", description="Least and largest value; equal ones fix it."
    )
    log: Log = Field(
        default=False, description="Whether values are spread evenly over the logarithm."
    )
    points: Annotated[int, Within(2, MAX_POINTS)] | None = Field(
        default=None,
        description="With the sampler grid: how many values to try, both ends among them.",
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        _check_range(*self.bounds, log=self.log)
        return self

    def parameter(self) -> Parameter:
        """The parameter it describes."""
        low, high = self.bounds
        return Float(low, high, log=self.log, points=self.points)  # type: ignore[arg-type]


class IntRange(Form, Generic[T]):
    """A whole number in a range."""

    bounds: Annotated[tuple[T, T], BeforeValidator(_pair)] = Field(
        alias="int", description="Least and largest value; equal ones fix it."
    )
    step: Annotated[int, Within(1, MAX_WIDTH)] = Field(
        default=1, description="Distance between values, counted from the least."
    )
    log: Log = Field(
        default=False, description="Whether values are spread evenly over the logarithm."
    )

    @model_validator(mode="after")
    def _check_order(self, info: ValidationInfo) -> Self:
        _check_range(*self.bounds, log=self.log)
        if self.log and self.step != 1:
            raise refused("without a step where log is true", "Drop log or step.")
        # Sweeps that were recorded before this was refused go on.
        if info.context != RECORDED:
            self._check_ends_on_a_step()
        return self

    def _check_ends_on_a_step(self) -> None:
        low, high = (int(bound) for bound in self.bounds)  # type: ignore[call-overload]
        beyond = (high - low) % self.step
        if beyond:
            ends = (high - beyond, high - beyond + self.step)
            fitting = [f"[{low}, {end}]" for end in ends if low < end <= MAX_WIDTH]
            raise refused(
                f"a range that ends on a step, since {high} would never be tried",
                f"Write {' or '.join([*fitting, 'another step'])}.",
            )

    def parameter(self) -> Parameter:
        """The parameter it describes."""
        low, high = self.bounds
        return Int(low, high, step=self.step, log=self.log)  # type: ignore[arg-type]


class Options(Form, Generic[T]):
    """One of several values, in no order."""

    choice: Annotated[tuple[T, ...], BeforeValidator(_options)] = Field(
        description="The values to choose from; a single one fixes it.",
        json_schema_extra={"minItems": 1, "uniqueItems": True},
    )

    @model_validator(mode="after")
    def _check_difference(self) -> Self:
        if len(set(self.choice)) < len(self.choice):
            raise refused("a choice of different options", "Remove the repeated one.")
        return self

    def parameter(self) -> Parameter:
        """The parameter it describes."""
        return Choice(self.choice)  # type: ignore[arg-type]


FORMS: dict[str, type[Form]] = {"float": FloatRange, "int": IntRange, "choice": Options}
_FORM_NAMES = {form: name for name, form in FORMS.items()}


def _check_range(low: Any, high: Any, *, log: bool) -> None:
    if low > high:
        raise refused("a range whose low end is at most its high end", "Swap the two ends.")
    if log and low <= 0:
        raise refused("a range above 0 where log is true", "Raise the low end or drop log.")


def _form_of(entry: Any) -> str | None:
    if isinstance(entry, Form):
        return next(name for form, name in _FORM_NAMES.items() if isinstance(entry, form))
    if isinstance(entry, dict):
        named = [name for name in FORMS if name in entry]
        return named[0] if len(named) == 1 else None
    return None if entry is None or isinstance(entry, list) else "value"


def _one_form(must: str) -> Discriminator:
    return Discriminator(
        _form_of,
        custom_error_type="refused",
        custom_error_message="must be {must}",
        custom_error_context={"must": must, "advice": "Write one of these forms."},
    )


_FLOAT_FORMS = _one_form("a number, {float: [low, high]} or {choice: [...]}")
_INT_FORMS = _one_form("a whole number, {int: [low, high]} or {choice: [...]}")
_WORD_FORMS = _one_form("a name or {choice: [...]}")
_FLOAT, _INT, _CHOICE, _VALUE = Tag("float"), Tag("int"), Tag("choice"), Tag("value")

InitialBiasEntry = Annotated[
    Annotated[FloatRange[InitialBias], _FLOAT]
    | Annotated[Options[InitialBias], _CHOICE]
    | Annotated[InitialBias, _VALUE],
    _FLOAT_FORMS,
]
StrengthEntry = Annotated[
    Annotated[FloatRange[Strength], _FLOAT]
    | Annotated[Options[Strength], _CHOICE]
    | Annotated[Strength, _VALUE],
    _FLOAT_FORMS,
]
LearningRateEntry = Annotated[
    Annotated[FloatRange[LearningRate], _FLOAT]
    | Annotated[Options[LearningRate], _CHOICE]
    | Annotated[LearningRate, _VALUE],
    _FLOAT_FORMS,
]
WidthEntry = Annotated[
    Annotated[IntRange[Width], _INT]
    | Annotated[Options[Width], _CHOICE]
    | Annotated[Width, _VALUE],
    _INT_FORMS,
]
NonlinearityEntry = Annotated[
    Annotated[Options[Nonlinearity], _CHOICE] | Annotated[Nonlinearity, _VALUE],
    _WORD_FORMS,
]


def without_default(schema: JsonDict) -> None:
    """Leave out the default of a key that may be left out, but not be null."""
    schema.pop("default", None)


def _optional(description: str) -> Any:
    """A key that may be left out, but not be null."""
    return Field(
        default=None,
        description=description,
        json_schema_extra=without_default,
    )


class SpaceMapping(Part):
    """Parameters to vary or to fix; what is not named keeps its model or training value."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    initial_bias: InitialBiasEntry = _optional("Mean that is added to every bias at the start.")
    bias_decay: StrengthEntry = _optional(
        "In the first half of training each step multiplies the biases by "
        "1 - bias_decay * learning_rate.",
    )
    learning_rate: LearningRateEntry = _optional("Top of the learning rate's schedule.")
    l1: StrengthEntry = _optional("Weight of the L1 penalty on the hidden activations.")
    num_neurons: WidthEntry = _optional("Number of hidden neurons.")
    nonlinearity: NonlinearityEntry = _optional("What each hidden neuron computes from its input.")

    @model_validator(mode="after")
    def _check_entries(self) -> Self:
        if not self.model_fields_set:
            raise refused(
                "a mapping that names a parameter",
                "Name one, such as `initial_bias: {float: [-1.0, 0.0]}`.",
            )
        return self

    @model_serializer(mode="wrap")
    def _only_named(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        settings: dict[str, Any] = handler(self)
        return {name: entry for name, entry in settings.items() if name in self.model_fields_set}

    def space(self) -> Space:
        """The space it describes, in the order of the fields above whatever the file's is."""
        return Space(self.entries(), self.conditions())

    def entries(self) -> dict[str, Parameter | Value]:
        """What each parameter may be, by name."""
        return {
            name: entry.parameter() if isinstance(entry, Form) else entry
            for name, entry in self._named()
        }

    def conditions(self) -> dict[str, Condition]:
        """Where each parameter varies, of those that do not always."""
        return {
            name: entry.when
            for name, entry in self._named()
            if isinstance(entry, Form) and entry.when is not None
        }

    def _named(self) -> Iterator[tuple[str, Any]]:
        for name in type(self).model_fields:
            if name in self.model_fields_set:
                yield name, getattr(self, name)
