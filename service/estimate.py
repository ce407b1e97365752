"""What a sweep will take: trainings, memory and time, foreseen without training anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.early_stopping import rungs, share_trained
from service.phases import BaselinePhase, num_confirmations
from service.planning import Resolved, cohort_bytes
from service.spec import Spec
from service.training_time import training_s

START_UP_S = 15.0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a sweep will take, roughly.

    Attributes:
        trainings: Networks to train, by phase.
        rungs: Steps at which some of the search's are stopped early.
        cohort_bytes: Memory of one cohort, with the widest networks.
        seconds: Wall time with the resolved number of cohorts at a time.
    """

    trainings: Mapping[str, int]
    rungs: Sequence[int]
    cohort_bytes: int
    seconds: float


def estimate(spec: Spec, resolved: Resolved) -> Estimate:
    """Foresee a sweep's size from its file."""
    own = spec.model.num_neurons
    low, high = spec.space.bounds("num_neurons", own)
    middle = (low + high) / 2
    trainings = {
        "baseline": BaselinePhase(spec).num_trials,
        "search": spec.search.num_trials * spec.search.replicates,
        "confirmation": num_confirmations(spec),
    }
    cohort_size = min(resolved.cohort_size, spec.search.num_trials)
    trained = {**trainings, "search": trainings["search"] * share_trained(spec, cohort_size)}
    core_s = 0.0
    for phase, count in trained.items():
        width = own if phase == "baseline" else middle
        core_s += count * training_s(spec, width, resolved.precision, resolved.cpus)
    return Estimate(
        trainings=trainings,
        rungs=rungs(spec),
        cohort_bytes=cohort_bytes(spec, resolved.cohort_size, resolved.precision),
        seconds=START_UP_S + core_s / resolved.max_concurrent,
    )
