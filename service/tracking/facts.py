"""What all runs of a sweep have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from service.ledger import SweepRecord
from service.objective import Objective, objective_of
from service.planning import training_settings
from service.recorded import spec_of
from service.spec import Spec
from service.trials import Trial


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A sweep, as its runs tell of it.

    Attributes:
        spec: The sweep file.
        versions: Versions of what changes numbers.
        precision: Of the matrix products; the file's own word before it is settled.
        device: ``cpu`` or ``cuda``.
        cpus: Of a cohort: the threads that torch has.
    """

    spec: Spec
    versions: Mapping[str, str]
    precision: str
    device: str
    cpus: int

    @classmethod
    def of(cls, record: SweepRecord) -> "Facts":
        """From what the ledger holds."""
        spec = spec_of(record)
        settled = record.resolved or {}
        return cls(
            spec=spec,
            versions=record.versions,
            precision=settled.get("precision", spec.training.precision),
            device=settled.get("device", "cuda" if spec.compute.gpus else "cpu"),
            cpus=settled.get("cpus", spec.compute.cpus),
        )

    @cached_property
    def objective(self) -> Objective:
        """What the sweep is after."""
        return objective_of(self.spec)

    @cached_property
    def task(self) -> dict[str, object]:
        """Fields of the trainers' ``Task``."""
        return self.spec.task.model_dump()

    @cached_property
    def training(self) -> dict[str, object]:
        """Fields of the trainers' ``TrainingSettings``."""
        return training_settings(self.spec, self.precision, self.device)

    def is_feasible(self, trial: Trial) -> bool:
        """Whether an ended search trial is complete and keeps every limit."""
        assert trial.result is not None
        return self.objective.is_feasible(trial.result, trial.settings)
