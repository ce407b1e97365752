"""What a sweep runs with: every ``auto`` of its file settled once, within what there is."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from service.errors import UserError
from service.machine import has_bfloat16_products
from service.phases import base_settings
from service.search import resolve_sampler
from service.spec import Spec
from trainers import Member, Task, TrainingSettings, peak_bytes

# Rounds of feedback that a search has at least, if its cohorts are to stay small enough for that.
MIN_ROUNDS = 4
CPU_COHORT_SIZES = (1, 2, 4, 8, 16)
GPU_COHORT_SIZES = (*CPU_COHORT_SIZES, 32, 64)
# From one cohort's last step to the next one's first on the same worker: 48 cohorts of one trial
# took 6.5 s, of which 3.6 s were training.
COHORT_OVERHEAD_S = 0.05
# A smaller cohort that is this little slower is preferred: the search hears of its trials sooner.
NEARLY = 1.05
# The driver, Ray's own processes and its object store.
RESERVED_BYTES = 1536 * 2**20


@dataclass(frozen=True)
class Room:
    """What there is for the cohorts of a sweep, on one machine or in a cluster.

    Attributes:
        num_cpus: Processors.
        memory_bytes: Memory that goes with them.
    """

    num_cpus: int
    memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What a worker measures before a sweep's cohort size is settled.

    Attributes:
        task: Fields of the trainers' ``Task``.
        training: Fields of the trainers' ``TrainingSettings``.
        settings: Those of a typical trial.
        replicates: Networks of a trial.
        sizes: Trials in a cohort, ascending.
        num_threads: Threads that a cohort may use.
    """

    task: Mapping[str, Any]
    training: Mapping[str, Any]
    settings: Mapping[str, float | int | str]
    replicates: int
    sizes: tuple[int, ...]
    num_threads: int


# Seconds that one trial's step takes in cohorts of each size; sizes may be missing from the end.
Measure = Callable[[Calibration], Mapping[int, float]]


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
        step_s: Seconds that one trial's step was measured to take in cohorts of each size; empty
            where there was nothing to choose.
    """

    cohort_size: int
    max_concurrent: int
    sampler: str
    precision: str
    device: str
    cpus: int
    gpus: float
    step_s: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Field by field."""
        return asdict(self)


def resolve(spec: Spec, room: Room, measure: Measure | None = None) -> Resolved:
    """Settle every ``auto`` of a sweep file.

    As many cohorts at a time as processors and memory allow, and cohorts of the size that was
    measured to end a search soonest; see ``fastest``.

    Args:
        spec: The sweep file.
        room: What there is for cohorts.
        measure: Measures cohorts on a worker; without it the largest size that may be chosen is.

    Raises:
        UserError: If what the file asks for cannot fit in memory.
    """
    compute = spec.compute
    precision = spec.training.precision
    if precision == "auto":
        precision = "bfloat16" if compute.gpus or has_bfloat16_products() else "float32"

    def fits(cohort_size: int, max_concurrent: int) -> bool:
        # What a cohort on a GPU takes of this memory is not foreseen, and little.
        if compute.gpus:
            return True
        taken = cohort_bytes(spec, cohort_size, precision) * max_concurrent
        return taken <= room.memory_bytes - RESERVED_BYTES

    max_concurrent = _max_concurrent(spec, room, fits)
    sizes = _sizes(spec, max_concurrent, fits)
    if not fits(sizes[0], max_concurrent):
        raise UserError(_too_large(spec, sizes[0], max_concurrent, precision, room))
    device = "cuda" if compute.gpus else "cpu"
    step_s: Mapping[int, float] = {}
    if measure is not None and len(sizes) > 1:
        step_s = measure(_calibration(spec, sizes, precision, device))
    return Resolved(
        cohort_size=fastest(step_s, spec.training.num_steps) if step_s else sizes[-1],
        max_concurrent=max_concurrent,
        sampler=resolve_sampler(spec.search.sampler),
        precision=precision,
        device=device,
        cpus=compute.cpus,
        gpus=float(compute.gpus),
        step_s={str(size): seconds for size, seconds in step_s.items()},
    )


def fastest(step_s: Mapping[int, float], num_steps: int) -> int:
    """The smallest cohort that takes no more than a twentieth longer a trial than the fastest.

    Args:
        step_s: Seconds for one trial's step in cohorts of each size.
        num_steps: Steps of a training.
    """
    trial_s = {
        size: num_steps * seconds + COHORT_OVERHEAD_S / size for size, seconds in step_s.items()
    }
    limit = NEARLY * min(trial_s.values())
    return min(size for size, seconds in trial_s.items() if seconds <= limit)


def _max_concurrent(spec: Spec, room: Room, fits: Callable[[int, int], bool]) -> int:
    """Cohorts at a time: as given, or one for its share of processors, fewer if memory is short."""
    compute = spec.compute
    if compute.max_concurrent != "auto":
        return compute.max_concurrent
    smallest = 1 if compute.cohort_size == "auto" else compute.cohort_size
    most = max(room.num_cpus // compute.cpus, 1)
    return next((count for count in range(most, 0, -1) if fits(smallest, count)), 1)


def _sizes(spec: Spec, max_concurrent: int, fits: Callable[[int, int], bool]) -> tuple[int, ...]:
    """Cohort sizes to choose from, ascending: one at least, those that fit, four rounds each."""
    compute = spec.compute
    if compute.cohort_size != "auto":
        return (compute.cohort_size,)
    largest = math.ceil(spec.search.num_trials / (max_concurrent * MIN_ROUNDS))
    candidates = GPU_COHORT_SIZES if compute.gpus else CPU_COHORT_SIZES
    first, *others = candidates
    return first, *(size for size in others if size <= largest and fits(size, max_concurrent))


def _too_large(
    spec: Spec, cohort_size: int, max_concurrent: int, precision: str, room: Room
) -> str:
    needed = cohort_bytes(spec, cohort_size, precision) * max_concurrent
    what = (
        f"cohorts at a time: {max_concurrent}, trials in each: {cohort_size}, networks of a "
        f"trial: {spec.search.replicates}, neurons: up to {_widest(spec)}"
    )
    if max_concurrent == cohort_size == spec.search.replicates == 1:
        remedy = "Lower num_neurons, task.num_features or training.batch_size."
    else:
        remedy = (
            "Lower compute.max_concurrent, compute.cohort_size or search.replicates, or the "
            "networks' num_neurons."
        )
    return (
        f"cohorts must fit in memory, found {_gib(needed)} needed ({what}) and "
        f"{_gib(room.memory_bytes - RESERVED_BYTES)} there "
        f"({_gib(room.memory_bytes)} less {_gib(RESERVED_BYTES)} for the driver and Ray). {remedy}"
    )


def _gib(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.1f} GiB"


def _widest(spec: Spec) -> int:
    """Neurons of the widest network that a sweep may train."""
    own = spec.model.num_neurons
    return max(int(spec.space.bounds("num_neurons", own)[1]), own)


def cohort_bytes(spec: Spec, cohort_size: int, precision: str) -> int:
    """Most memory of a worker that trains a cohort of the widest networks on processors."""
    member = Member(seed=0, num_neurons=_widest(spec), learning_rate=spec.training.learning_rate)
    return peak_bytes(
        Task(**spec.task.model_dump()),
        TrainingSettings(**training_settings(spec, precision, "cpu")),
        [member] * cohort_size * spec.search.replicates,
    )


def training_settings(spec: Spec, precision: str, device: str) -> dict[str, Any]:
    """Fields of the trainers' ``TrainingSettings``."""
    training = spec.training
    return {
        "num_steps": training.num_steps,
        "batch_size": training.batch_size,
        "optimizer": training.optimizer,
        "schedule": training.schedule,
        "precision": precision,
        "device": device,
    }


def _calibration(spec: Spec, sizes: Sequence[int], precision: str, device: str) -> Calibration:
    own = spec.model.num_neurons
    low, high = spec.space.bounds("num_neurons", own)
    return Calibration(
        task=spec.task.model_dump(),
        training=training_settings(spec, precision, device),
        settings={**base_settings(spec), "num_neurons": round((low + high) / 2)},
        replicates=spec.search.replicates,
        sizes=tuple(sizes),
        num_threads=spec.compute.cpus,
    )
