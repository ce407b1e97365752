"""What a sweep runs with: every ``auto`` of its file settled once, within what there is."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from service.early_stopping import share_trained
from service.errors import UserError
from service.machine import has_bfloat16_products
from service.phases import BaselinePhase, base_settings, num_confirmations
from service.room import RESERVED_BYTES, Room
from service.search import resolve_sampler
from service.spec import MIN_STOPPED_COHORT, Spec
from service.training_time import training_s
from trainers import (
    Member,
    Task,
    TrainingSettings,
    arrays_bytes,
    checkpoint_bytes,
    peak_bytes,
)
from trainers.sizes import WIDTH_MULTIPLE

# Rounds of feedback that a search has at least, if its cohorts are to stay small enough for that.
MIN_ROUNDS = 4
CPU_COHORT_SIZES = (1, 2, 4, 8, 16)
GPU_COHORT_SIZES = (*CPU_COHORT_SIZES, 32, 64)
# From one cohort's last step to the next one's first on the same worker: 48 cohorts of one trial
# took 6.5 s, of which 3.6 s were training.
COHORT_OVERHEAD_S = 0.05
# A smaller cohort that is this little slower is preferred: the search hears of its trials sooner.
NEARLY = 1.05


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What a worker with GPUs measures before a sweep's cohort size is settled.

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
            on processors, and where there was nothing to choose.
        warm_start: Trials of earlier sweeps that the search starts from, by sweep.
    """

    cohort_size: int
    max_concurrent: int
    sampler: str
    precision: str
    device: str
    cpus: int
    gpus: float
    step_s: Mapping[str, float] = field(default_factory=dict)
    warm_start: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Field by field."""
        return asdict(self)


def resolve(spec: Spec, room: Room, measure: Measure | None = None) -> Resolved:
    """Settle every ``auto`` of a sweep file.

    As many cohorts at a time as processors and memory allow, and cohorts of the size that ends a
    search soonest; see ``fastest``. On processors arithmetic knows it, so that a file has the same
    cohorts on machines of one kind; on GPUs it is measured.

    Args:
        spec: The sweep file.
        room: What there is for cohorts.
        measure: Measures cohorts on a worker with GPUs; without it the largest size that may be
            chosen is.

    Raises:
        UserError: If what the file asks for cannot fit in memory.
    """
    compute = spec.compute
    precision = spec.training.precision
    if precision == "auto":
        precision = "bfloat16" if compute.gpus or has_bfloat16_products() else "float32"

    def capacity(cohort_size: int) -> int:
        # What a cohort on a GPU takes of a machine's memory is not foreseen, and little.
        needed = 0 if compute.gpus else cohort_bytes(spec, cohort_size, precision)
        return room.num_cohorts(compute.cpus, compute.gpus, needed)

    at_a_time = _at_a_time(spec, room, capacity)
    sizes = _sizes(spec, at_a_time, capacity)
    # Where no machine has the processors or GPUs, the scheduler says so by name.
    if capacity(sizes[0]) < at_a_time and room.num_cohorts(compute.cpus, compute.gpus):
        raise UserError(_too_large(spec, sizes[0], at_a_time, precision, room))
    device = "cuda" if compute.gpus else "cpu"
    num_steps, share = spec.training.num_steps, partial(share_trained, spec)
    step_s: Mapping[int, float] = {}
    if device == "cpu":
        # Networks are trained one after the other there: in company a step takes hardly less, by
        # the samples that are drawn once for all.
        cohort_size = fastest(
            dict.fromkeys(sizes, _trial_s(spec, precision) / num_steps), num_steps, share
        )
    elif measure is None or len(sizes) == 1:
        cohort_size = sizes[-1]
    else:
        step_s = measure(_calibration(spec, sizes, precision, device))
        # Where even the smallest could not be measured, it is still the likeliest to train.
        cohort_size = fastest(step_s, num_steps, share) if step_s else sizes[0]
    return Resolved(
        cohort_size=cohort_size,
        max_concurrent=at_a_time if compute.max_concurrent == "auto" else compute.max_concurrent,
        sampler=resolve_sampler(spec, _trial_s(spec, precision), at_a_time),
        precision=precision,
        device=device,
        cpus=compute.cpus,
        gpus=float(compute.gpus),
        step_s={str(size): seconds for size, seconds in step_s.items()},
    )


def fastest(
    step_s: Mapping[int, float], num_steps: int, share: Callable[[int], float] = lambda _: 1.0
) -> int:
    """The smallest cohort that takes no more than a twentieth longer a trial than the fastest.

    Args:
        step_s: Seconds for one trial's step in cohorts of each size.
        num_steps: Steps of a training.
        share: The part of them that the trials of a cohort of each size are trained for.
    """
    trial_s = {
        size: num_steps * share(size) * seconds + COHORT_OVERHEAD_S / size
        for size, seconds in step_s.items()
    }
    limit = NEARLY * min(trial_s.values())
    return min(size for size, seconds in trial_s.items() if seconds <= limit)


def _at_a_time(spec: Spec, room: Room, capacity: Callable[[int], int]) -> int:
    """Cohorts that will run at a time: by the file, processors and GPUs; by memory if it may."""
    compute = spec.compute
    most = max(room.num_cohorts(compute.cpus, compute.gpus), 1)
    if compute.max_concurrent != "auto":
        return min(compute.max_concurrent, most)
    smallest = _choices(spec)[0] if compute.cohort_size == "auto" else compute.cohort_size
    return max(min(most, capacity(smallest)), 1)


def _sizes(spec: Spec, at_a_time: int, capacity: Callable[[int], int]) -> tuple[int, ...]:
    """Cohort sizes to choose from, ascending: one at least, those that fit, four rounds each."""
    compute = spec.compute
    if compute.cohort_size != "auto":
        return (compute.cohort_size,)
    largest = math.ceil(spec.search.num_trials / (at_a_time * MIN_ROUNDS))
    first, *others = _choices(spec)
    return first, *(size for size in others if size <= largest and capacity(size) >= at_a_time)


def _choices(spec: Spec) -> tuple[int, ...]:
    """Cohort sizes that ``auto`` may take, ascending; large where trials are stopped early."""
    sizes = GPU_COHORT_SIZES if spec.compute.gpus else CPU_COHORT_SIZES
    smallest = 1 if spec.stopping is None else MIN_STOPPED_COHORT
    return tuple(size for size in sizes if size >= smallest)


def _too_large(spec: Spec, cohort_size: int, at_a_time: int, precision: str, room: Room) -> str:
    needed = cohort_bytes(spec, cohort_size, precision)
    largest = max(machine.memory_bytes for machine in room.machines)
    trials = "trials" if cohort_size > 1 else "trial"
    remedy = f"What takes most is {_largest_cause(spec, precision)}: lower it."
    if at_a_time * cohort_size * spec.search.replicates > 1:
        remedy += " Or lower compute.max_concurrent, compute.cohort_size or search.replicates."
    return (
        f"cohorts must fit in memory, found {_gib(needed)} needed for each, {at_a_time} at a time "
        f"({cohort_size} {trials} of up to {_widest(spec)} neurons in each), and {_gib(largest)} "
        f"on the largest machine, of which {_gib(RESERVED_BYTES)} are for the driver and Ray. "
        f"{remedy}"
    )


def _largest_cause(spec: Spec, precision: str) -> str:
    """The size that saves most memory if it is halved."""
    task, training, widest = spec.task, spec.training, _widest(spec)

    def needed(**halved: int) -> int:
        sizes = {name: halved.get(name, size) for name, size in causes.values()}
        one = Member(seed=0, num_neurons=sizes["num_neurons"], learning_rate=training.learning_rate)
        values = {**task.model_dump(), "num_features": sizes["num_features"]}
        values["num_inputs"] = sizes["num_inputs"]
        settings = training_settings(spec, precision, "cpu") | {"batch_size": sizes["batch_size"]}
        return arrays_bytes(Task(**values), TrainingSettings(**settings), [one])

    causes = {
        "num_neurons": ("num_neurons", widest),
        "task.num_features": ("num_features", task.num_features),
        "task.num_inputs": ("num_inputs", task.num_inputs),
        "training.batch_size": ("batch_size", training.batch_size),
    }
    return min(causes, key=lambda key: needed(**{causes[key][0]: max(causes[key][1] // 2, 1)}))


def _gib(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.1f} GiB"


def _widest(spec: Spec) -> int:
    """Neurons of the widest network that a sweep may train."""
    own = spec.model.num_neurons
    return max(int(spec.space.bounds("num_neurons", own)[1]), own)


def cohort_bytes(spec: Spec, cohort_size: int, precision: str) -> int:
    """Most memory of a worker that trains a cohort on processors, its checkpoints included.

    The most of three: a search's networks all of the widest kind, or each of a shape of its own
    with a workspace of its own; or the baseline's and the confirmation's, each on a seed of its
    own with samples of its own. Each as it is, and with one network ReLU, whose passes are
    compiled.
    """
    cohort_size = min(cohort_size, _most_trials(spec))
    task = Task(**spec.task.model_dump())
    settings = TrainingSettings(**training_settings(spec, precision, "cpu"))
    replicates = range(spec.search.replicates)
    shapes = list(islice(_shapes(spec), cohort_size))
    alike = [_member(spec, *shapes[0], seed) for seed in replicates] * cohort_size
    unlike = [_member(spec, *shape, seed) for shape in shapes for seed in replicates]
    one_relu = next((shape for shape in _shapes(spec) if shape[1] == "relu"), shapes[0])
    seeds = [_member(spec, *shapes[0], seed) for seed in range(cohort_size)]
    return max(
        peak_bytes(task, settings, members) + checkpoint_bytes(task, settings, members)
        for most in (alike, unlike + alike[len(unlike) :], seeds)
        for members in (most, [*most[:-1], _member(spec, *one_relu, most[-1].seed)])
    )


def _most_trials(spec: Spec) -> int:
    """Trials of the phase that has most: no cohort is larger."""
    baseline = BaselinePhase(spec).num_trials
    return max(baseline, spec.search.num_trials, num_confirmations(spec))


def _member(spec: Spec, num_neurons: int, nonlinearity: str, seed: int) -> Member:
    return Member(
        seed=seed,
        num_neurons=num_neurons,
        nonlinearity=nonlinearity,
        learning_rate=spec.training.learning_rate,
    )


def _shapes(spec: Spec) -> Iterator[tuple[int, str]]:
    """Shapes that networks of a sweep may have, the widest first."""
    own = spec.model.num_neurons
    low, _ = spec.space.bounds("num_neurons", own)
    narrowest = min(int(low), own)
    kinds = spec.space.options("nonlinearity", spec.model.nonlinearity)
    for width in range(_widest(spec), max(narrowest - WIDTH_MULTIPLE, 0), -WIDTH_MULTIPLE):
        # Those other than ReLU need one buffer more.
        yield from ((width, str(kind)) for kind in sorted(kinds, key="relu".__eq__))


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


def _typical_width(spec: Spec) -> float:
    """Neurons of a network in the middle of the search space."""
    return sum(spec.space.bounds("num_neurons", spec.model.num_neurons)) / 2


def _trial_s(spec: Spec, precision: str) -> float:
    """Seconds that a typical trial of the search takes, trained to the end; 0 on GPUs: unknown."""
    if spec.compute.gpus:
        return 0.0
    network_s = training_s(spec, _typical_width(spec), precision, spec.compute.cpus)
    return network_s * spec.search.replicates


def _calibration(spec: Spec, sizes: Sequence[int], precision: str, device: str) -> Calibration:
    return Calibration(
        task=spec.task.model_dump(),
        training=training_settings(spec, precision, device),
        settings={**base_settings(spec), "num_neurons": round(_typical_width(spec))},
        replicates=spec.search.replicates,
        sizes=tuple(sizes),
        num_threads=spec.compute.cpus,
    )
