"""The words a sweep file may use for a trainer's choices; imports neither torch nor numpy."""

from typing import Literal, get_args

TaskKind = Literal["feature_decoder"]
FeatureDistribution = Literal["uniform"]
NonlinearityName = Literal["relu", "gelu", "solu"]
OptimizerName = Literal["lamb"]
ScheduleName = Literal["cycling_cosine"]
Precision = Literal["float32", "bfloat16"]
Metric = Literal[
    "loss",
    "monosemantic_per_feature",
    "monosemantic_per_neuron",
    "feature_coverage",
    "num_dead",
    "mean_bias",
]

TASK_KINDS: tuple[str, ...] = get_args(TaskKind)
FEATURE_DISTRIBUTIONS: tuple[str, ...] = get_args(FeatureDistribution)
NONLINEARITIES: tuple[str, ...] = get_args(NonlinearityName)
OPTIMIZERS: tuple[str, ...] = get_args(OptimizerName)
SCHEDULES: tuple[str, ...] = get_args(ScheduleName)
PRECISIONS: tuple[str, ...] = get_args(Precision)
METRICS: tuple[str, ...] = get_args(Metric)
