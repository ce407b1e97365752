"""What a sweep will take: ``auto`` choices resolved; trainings, memory and time foreseen."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from service.machine import has_bfloat16_products, memory_bytes
from service.phases import BaselinePhase, num_confirmations
from service.search import resolve_sampler
from service.spec import Spec
from trainers import Member, Task, TrainingSettings, peak_bytes

# Rounds of feedback that a search has at least, if its cohorts are to stay small enough for that.
MIN_ROUNDS = 4
MAX_COHORT_SIZE = 16

# Arithmetic rates a core, for the estimate only: what matrix products of these sizes reach on a
# server processor of today, and the time a step takes beside them.
GFLOPS = {"float32": 80.0, "bfloat16": 350.0}
STEP_OVERHEAD_S = 0.0004
START_UP_S = 15.0


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What the ``auto`` choices came to; recorded once and never measured again.

    Attributes:
        cohort_size: Trials in a cohort.
        max_concurrent: Cohorts at a time.
        sampler: Who proposes.
        precision: Of the matrix products.
        device: ``cpu`` or ``cuda``.
        cpus: Processors of a cohort.
        gpus: GPUs of a cohort.
    """

    cohort_size: int
    max_concurrent: int
    sampler: str
    precision: str
    device: str
    cpus: int
    gpus: float

    def as_json(self) -> dict[str, Any]:
        """Field by field."""
        return asdict(self)


def resolve(spec: Spec, num_cpus: int) -> Resolved:
    """Settle every ``auto`` of a sweep file.

    Cohorts are as large as leaves each worker four rounds of feedback: larger ones save nothing
    on processors, and the search learns only between cohorts.

    Args:
        spec: The sweep file.
        num_cpus: Processors there are for cohorts, on this machine or in the cluster.
    """
    compute = spec.compute
    max_concurrent = (
        max(num_cpus // compute.cpus, 1)
        if compute.max_concurrent == "auto"
        else compute.max_concurrent
    )
    cohort_size = (
        min(math.ceil(spec.search.num_trials / (max_concurrent * MIN_ROUNDS)), MAX_COHORT_SIZE)
        if compute.cohort_size == "auto"
        else compute.cohort_size
    )
    precision = spec.training.precision
    if precision == "auto":
        precision = "bfloat16" if compute.gpus or has_bfloat16_products() else "float32"
    return Resolved(
        cohort_size=cohort_size,
        max_concurrent=max_concurrent,
        sampler=resolve_sampler(spec.search.sampler),
        precision=precision,
        device="cuda" if compute.gpus else "cpu",
        cpus=compute.cpus,
        gpus=float(compute.gpus),
    )


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a sweep will take, roughly.

    Attributes:
        trainings: Networks to train, by phase.
        cohort_bytes: Memory of one cohort, with the widest networks.
        exceeds_memory: Whether the cohorts at a time take more than this machine has.
        seconds: Wall time with the resolved number of cohorts at a time.
    """

    trainings: Mapping[str, int]
    cohort_bytes: int
    exceeds_memory: bool
    seconds: float


def estimate(spec: Spec, resolved: Resolved) -> Estimate:
    """Foresee a sweep's size from its file, without training anything."""
    own = spec.model.num_neurons
    low, high = spec.space.bounds("num_neurons", own)
    middle = (low + high) / 2
    trainings = {
        "baseline": BaselinePhase(spec).num_trials,
        "search": spec.search.num_trials * spec.search.replicates,
        "confirmation": num_confirmations(spec),
    }
    core_s = sum(
        count * training_s(spec, own if phase == "baseline" else middle, resolved)
        for phase, count in trainings.items()
    )
    num_members = resolved.cohort_size * spec.search.replicates
    widest = cohort_bytes(spec, max(int(high), own), num_members, resolved)
    return Estimate(
        trainings=trainings,
        cohort_bytes=widest,
        exceeds_memory=widest * resolved.max_concurrent > memory_bytes(),
        seconds=START_UP_S + core_s / resolved.max_concurrent,
    )


def training_s(spec: Spec, num_neurons: float, resolved: Resolved) -> float:
    """Seconds to train one network on the cores of one cohort.

    Five matrix products a step: two forward, three backward.
    """
    task = spec.task
    products = 2 * task.num_inputs + 3 * task.num_features
    flop = 2.0 * spec.training.batch_size * num_neurons * products
    step_s = flop / (GFLOPS[resolved.precision] * 1e9 * resolved.cpus) + STEP_OVERHEAD_S
    return spec.training.num_steps * step_s


def cohort_bytes(spec: Spec, num_neurons: int, num_members: int, resolved: Resolved) -> int:
    """Most memory of a worker that trains a cohort of the widest networks."""
    training = spec.training
    return peak_bytes(
        Task(**spec.task.model_dump()),
        TrainingSettings(
            num_steps=training.num_steps,
            batch_size=training.batch_size,
            optimizer=training.optimizer,
            schedule=training.schedule,
            precision=resolved.precision,
        ),
        [Member(seed=0, num_neurons=num_neurons, learning_rate=training.learning_rate)]
        * num_members,
    )
