"""The parts of a sweep file, each a mapping of its own."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from search_spaces import NAMED_SPACES
from service.bounds import MOST_TRIALS
from service.simple_word import PATTERN, SIMPLE_WORD
from service.spec.fields import Must, OneOf, PowerOfTwo, Within, refused
from service.spec.space import (
    InitialBias,
    LearningRate,
    Nonlinearity,
    Part,
    Setting,
    SpaceMapping,
    Strength,
    Width,
)
from trainers.names import FeatureDistribution, OptimizerName, Precision, ScheduleName, TaskKind

MAX_FEATURES = 2**16
MAX_SEEDS = 1024
MAX_STEPS = 2**24
MAX_BATCH_SIZE = 2**20
# A year.
MAX_HOURS = 8760

Name = Annotated[
    str,
    Field(pattern=PATTERN),
    Must(
        SIMPLE_WORD,
        "Write such a word, in quotes if it is a number.",
    ),
]


MAX_POINTS = 1024
MAX_SWEEPS = 64


def _points(value: Any) -> Any:
    if not isinstance(value, list) or len(value) > MAX_POINTS:
        raise refused(
            f"a list of at most {MAX_POINTS} points",
            "Write it as such, for example [{initial_bias: -1.0}].",
        )
    return tuple(value)


def _names(value: Any) -> Any:
    if not isinstance(value, list) or len(value) > MAX_SWEEPS:
        raise refused(f"a list of at most {MAX_SWEEPS} names of sweeps", "Write [NAME].")
    return tuple(value)


EnqueuedPoint = Annotated[
    dict[str, Setting],
    Field(min_length=1),
    Must(
        "a mapping of parameters to numbers or words",
        "Write one, such as {initial_bias: -1.0}.",
    ),
]


def _whole_above_one(gpus: float) -> float:
    if gpus > 1 and gpus != int(gpus):
        raise refused("a share of one GPU or a whole number of them", "Round it.")
    return gpus


class TaskSpec(Part):
    """What the network learns, and the sparse features it learns from."""

    kind: Annotated[TaskKind, OneOf()] = Field(
        description="The task, from mixtures of features: feature_decoder rebuilds each feature, "
        "random_reprojector their mixture under another projection, absolute_value the absolute "
        "value of signed features.",
        examples=["feature_decoder"],
    )
    num_features: Annotated[int, Within(1, MAX_FEATURES)] = Field(
        description="Number of ground-truth features.", examples=[256]
    )
    num_inputs: Annotated[int, Within(1, MAX_FEATURES)] = Field(
        description="Number of inputs that the features are mixed into, at most num_features.",
        examples=[32],
    )
    feature_density: Annotated[float, Within(0, 1, above=True)] = Field(
        description="Probability that a feature is non-zero in a sample.", examples=[0.015625]
    )
    feature_distribution: Annotated[FeatureDistribution, OneOf()] = Field(
        default="uniform",
        description="How density is spread over features: uniform is equally, power_law falls with "
        "the feature's rank to the power of 1.1, with the same mean.",
    )


class ModelSpec(Part):
    """The network: one hidden layer."""

    num_neurons: Width = Field(description="Number of hidden neurons.", examples=[512])
    nonlinearity: Nonlinearity = Field(
        default="relu", description="What each hidden neuron computes from its input."
    )


class TrainingSpec(Part):
    """How every network is trained, unless the search space says otherwise."""

    num_steps: Annotated[int, Within(1, MAX_STEPS)] = Field(
        description="Number of training steps; multiples of 1024 end at the top of the learning "
        "rate's cycle.",
        examples=[8192],
    )
    batch_size: Annotated[int, Within(1, MAX_BATCH_SIZE)] = Field(
        description="Number of samples in each step.", examples=[256]
    )
    optimizer: Annotated[OptimizerName, OneOf()] = Field(
        default="lamb", description="What turns gradients into steps; lamb is the paper's."
    )
    schedule: Annotated[ScheduleName, OneOf()] = Field(
        default="cycling_cosine",
        description="The learning rate over time: cycling_cosine, the paper's, goes from "
        "learning_rate to 0 and back every 1024 steps, single_cosine to 0 once over the run, "
        "warm_up up to it in the first tenth, constant stays at it.",
    )
    learning_rate: LearningRate = Field(
        description="Top of the learning rate's schedule.", examples=[0.01]
    )
    initial_bias: InitialBias = Field(
        default=0.0, description="Mean that is added to every bias at the start."
    )
    bias_decay: Strength = Field(
        default=0.0,
        description="In the first half of training each step multiplies the biases by "
        "1 - bias_decay * learning_rate.",
    )
    l1: Strength = Field(
        default=0.0, description="Weight of the L1 penalty on the hidden activations."
    )
    precision: Annotated[Literal["auto"] | Precision, OneOf()] = Field(
        default="auto",
        description="Number format of matrix products: auto takes bfloat16 where the processor "
        "has it.",
    )


class BaselineSpec(Part):
    """The reference that the search must beat: zero mean bias, no decay, the model's width."""

    learning_rate: Annotated[Literal["given", "tuned"], OneOf()] = Field(
        default="given",
        description="The baseline's learning rate: training.learning_rate as given, or tuned.",
    )
    num_seeds: Annotated[int, Within(2, MAX_SEEDS)] = Field(
        default=4, description="Number of seeds the baseline is trained on."
    )


class SearchSpec(Part):
    """How the search goes through the space."""

    sampler: Annotated[
        Literal["auto", "tpe", "gp", "nsga2", "random", "quasi_random", "grid"], OneOf()
    ] = Field(
        default="auto",
        description="What proposes settings: tpe, gp (a Gaussian process) and nsga2 (evolution) "
        "learn from what came of earlier ones, random and quasi_random (spread evenly) do not, "
        "grid tries every combination once; auto chooses for the sweep.",
    )
    num_trials: Annotated[int, Within(1, MOST_TRIALS)] = Field(
        description="Number of settings to try.", examples=[16]
    )
    max_training_steps: Annotated[int | None, Within(1, 2**53)] = Field(
        default=None,
        description="The search asks for no more trials once its networks have been trained for so "
        "many steps, all together; overshot by less than one cohort takes.",
    )
    max_hours: Annotated[float | None, Within(0, MAX_HOURS, above=True)] = Field(
        default=None,
        description="The same, once its cohorts have been at work for so many hours, by the clock; "
        "time in which no driver was at work does not count.",
    )
    patience: Annotated[int | None, Within(1, MOST_TRIALS)] = Field(
        default=None,
        description="The same, once so many trials in a row, in the order in which they ended, "
        "have brought nothing better that is feasible.",
    )
    replicates: Annotated[int, Within(1, MAX_SEEDS)] = Field(
        default=1, description="Number of seeds that each setting is trained on."
    )
    seed: Annotated[int, Within(0, 2**32 - 1)] = Field(
        default=0, description="What every random draw of the sweep starts from."
    )
    enqueue: Annotated[tuple[EnqueuedPoint, ...], BeforeValidator(_points)] = Field(
        default=(),
        description="Points to try first: values of parameters of the search space; what a point "
        "leaves out the sampler fills in. The best of them is confirmed beside the finalists.",
    )
    warm_start: Annotated[tuple[Name, ...], BeforeValidator(_names)] = Field(
        default=(),
        description="Earlier sweeps of the same task, training and objective whose trials the "
        "sampler learns from.",
    )


class EarlyStoppingSpec(Part):
    """Successive halving inside each cohort of the search, on the cohort's own curves."""

    first_step: Annotated[Literal["auto"] | int, PowerOfTwo(1, MAX_STEPS // 2)] = Field(
        default="auto",
        description="Steps after which a cohort's worst trials are stopped for the first time: a "
        "power of two below training.num_steps; auto is the largest within a quarter of them, "
        "since those that end best look bad before.",
    )
    reduction: Annotated[int, PowerOfTwo(2, 1024)] = Field(
        default=4,
        description="One trial in so many goes on, rounded up, then and again each time the steps "
        "have grown by the same factor: a power of two.",
    )


class ConfirmationSpec(Part):
    """The best settings and the baseline, trained again on seeds the search never saw."""

    finalists: Annotated[int, Within(1, MAX_SEEDS)] = Field(
        default=2, description="Number of best settings to confirm, at most search.num_trials."
    )
    num_seeds: Annotated[int, Within(2, MAX_SEEDS)] = Field(
        default=4, description="Number of new seeds for each finalist and for the baseline."
    )


class ComputeSpec(Part):
    """What trains side by side, and on what."""

    cohort_size: Annotated[Literal["auto"] | int, Within(1, 2**16)] = Field(
        default="auto", description="Number of settings trained side by side as one model."
    )
    cpus: Annotated[int, Within(1, 1024)] = Field(
        default=1, description="Number of processor cores for each cohort."
    )
    gpus: Annotated[float, Within(0, 64), AfterValidator(_whole_above_one)] = Field(
        default=0.0, description="Number of GPUs for each cohort; below 1 it is a share of one."
    )
    max_concurrent: Annotated[Literal["auto"] | int, Within(1, 2**16)] = Field(
        default="auto", description="Number of cohorts that may train at the same time."
    )
    checkpoint_s: Annotated[float, Within(0.1, 86400)] = Field(
        default=30.0, description="Seconds between two checkpoints of a cohort at work."
    )


def _stopping_form(value: object) -> str:
    return "mapping" if value is None or isinstance(value, dict | EarlyStoppingSpec) else "word"


EarlyStopping = Annotated[
    Annotated[
        Literal["auto"],
        Must(
            "auto, null, or a mapping that says when",
            "Write auto or null, or its keys below it, such as `first_step: ...`.",
        ),
        Tag("word"),
    ]
    | Annotated[EarlyStoppingSpec | None, Tag("mapping")],
    Discriminator(_stopping_form),
]


def _space_form(value: object) -> str | None:
    if isinstance(value, str):
        return "name"
    return "mapping" if isinstance(value, dict | SpaceMapping) else None


_OR_MAPPING = ", or a mapping of parameters to ranges"

SearchSpace = Annotated[
    Annotated[str, OneOf(tuple(NAMED_SPACES), _OR_MAPPING), Tag("name")]
    | Annotated[SpaceMapping, Tag("mapping")],
    Discriminator(
        _space_form,
        custom_error_type="refused",
        custom_error_message="must be {must}",
        custom_error_context={
            "must": f"one of {', '.join(NAMED_SPACES)}{_OR_MAPPING}",
            "advice": "Write bias_and_width to begin with.",
        },
    ),
]
