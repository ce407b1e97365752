"""What machines have for cohorts: processors, memory, GPUs."""

from dataclasses import dataclass

from service.errors import InterruptedSweepError, UserError
from service.machine import available_cpus, memory_bytes, num_gpus

# The driver, Ray's own processes and its object store.
RESERVED_BYTES = 1536 * 2**20


@dataclass(frozen=True)
class Machine:
    """What one machine has for cohorts."""

    num_cpus: int
    memory_bytes: int
    num_gpus: float = 0.0

    @classmethod
    def here(cls) -> "Machine":
        """This machine, as far as this process may use it."""
        return cls(available_cpus(), memory_bytes(), num_gpus())

    def num_cohorts(self, cpus: int, gpus: float) -> int:
        """Cohorts with so many processors and GPUs that it can run at a time."""
        by_gpus = int(self.num_gpus / gpus) if gpus else self.num_cpus
        return min(self.num_cpus // cpus, by_gpus)

    def num_in_memory(self, cohort_bytes: int) -> int:
        """Cohorts that fit in its memory at a time."""
        return max(self.memory_bytes - RESERVED_BYTES, 0) // cohort_bytes


@dataclass(frozen=True)
class Room:
    """What there is for the cohorts of a sweep, on one machine or in a cluster.

    Attributes:
        machines: Those that there are now.
        can_grow: Whether others may join them, as in a cluster.
    """

    machines: tuple[Machine, ...]
    can_grow: bool = False

    def num_cohorts(self, cpus: int, gpus: float, cohort_bytes: int = 0) -> int:
        """Cohorts that can run at a time, each within one machine.

        Args:
            cpus: Processors of a cohort.
            gpus: GPUs of a cohort.
            cohort_bytes: Memory of a cohort; 0 where it is not foreseen.
        """
        return sum(
            min(machine.num_cohorts(cpus, gpus), machine.num_in_memory(cohort_bytes))
            if cohort_bytes
            else machine.num_cohorts(cpus, gpus)
            for machine in self.machines
        )

    def check_has_processors(self, cpus: int) -> None:
        """Make sure that one machine has so many.

        Raises:
            UserError: If none has.
        """
        most = max((machine.num_cpus for machine in self.machines), default=0)
        if most < cpus:
            raise UserError(
                f"a cohort needs {cpus} CPUs on one machine, found at most {most}. Run it on a "
                "cluster (--address), or lower compute.cpus."
            )

    def check_takes(self, cpus: int, gpus: float) -> None:
        """Make sure that a cohort with these resources can ever be placed.

        Raises:
            UserError: If no machine has what ``compute`` asks for, nor ever will.
            InterruptedSweepError: If none has it now, but one that does may join.
        """
        if not self.num_cohorts(cpus, gpus):
            most_cpus = max((machine.num_cpus for machine in self.machines), default=0)
            most_gpus = max((machine.num_gpus for machine in self.machines), default=0.0)
            found = (
                f"a cohort needs {cpus} CPUs and {gpus:g} GPUs on one machine, found "
                f"at most {most_cpus} and {most_gpus:g}"
            )
            if self.can_grow:
                raise InterruptedSweepError(
                    f"{found} so far in the cluster. Go on with it when such a machine has joined; "
                    "if none ever does, lower compute.cpus or compute.gpus in a sweep of another "
                    "name."
                )
            raise UserError(
                f"{found}. Run it on a cluster (--address), or lower compute.cpus or compute.gpus."
            )
