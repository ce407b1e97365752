"""The words a sweep file may use for a trainer's choices; imports neither torch nor numpy."""

from typing import Literal, get_args

TaskKind = Literal["feature_decoder", "random_reprojector", "absolute_value"]
FeatureDistribution = Literal["uniform", "power_law"]
NonlinearityName = Literal["relu", "gelu", "solu"]
OptimizerName = Literal["lamb", "adam", "adamw", "sgd"]
ScheduleName = Literal["cycling_cosine", "single_cosine", "constant", "warm_up"]
Precision = Literal["float32", "bfloat16"]
Metric = Literal[
    "loss",
    "monosemantic_per_feature",
    "monosemantic_per_neuron",
    "feature_coverage",
    "concentration_per_feature",
    "num_dead",
    "mean_bias",
    "monosemantic_per_feature_published",
]

TASK_KINDS: tuple[str, ...] = get_args(TaskKind)
FEATURE_DISTRIBUTIONS: tuple[str, ...] = get_args(FeatureDistribution)
NONLINEARITIES: tuple[str, ...] = get_args(NonlinearityName)
OPTIMIZERS: tuple[str, ...] = get_args(OptimizerName)
SCHEDULES: tuple[str, ...] = get_args(ScheduleName)
PRECISIONS: tuple[str, ...] = get_args(Precision)
METRICS: tuple[str, ...] = get_args(Metric)
