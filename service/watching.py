"""Who is told what happens in a sweep while it runs."""

from collections.abc import Sequence

from service.cohort import Cohort
from service.planning import Resolved
from service.trials import Phase, Trial


class Watcher:
    """Is told what happens, from the driver's thread; by default it does nothing with it."""

    def workers_starting(self) -> None:
        """The sweep is ready to train; workers take some seconds to start."""

    def planned(self, resolved: Resolved) -> None:
        """The ``auto`` choices are settled."""

    def phase_entered(self, phase: Phase, num_trials: int, trials: Sequence[Trial]) -> None:
        """A phase begins, or goes on with the trials that it has already."""

    def search_closed(self, num_trials: int, why: str) -> None:
        """The search asks for no more than these trials: a budget is exhausted."""

    def cohort_started(self, cohort: Cohort) -> None:
        """A cohort was handed to a worker."""

    def cohort_went_on(self, cohort_id: str, first_step: int) -> None:
        """A cohort is at work again, from an earlier attempt's checkpoint at this step."""

    def cohort_progressed(self, cohort_id: str, num_steps_done: int) -> None:
        """A cohort is still at work."""

    def cohort_died(self, cohort_id: str, reason: str) -> None:
        """A cohort ended without results, and will be tried again."""

    def cohort_split(self, cohort_id: str, halves: Sequence[str]) -> None:
        """A cohort that died again and again goes on as two, to find the trial that is to blame."""

    def cohort_warned(self, cohort_id: str, warning: str) -> None:
        """A cohort goes on, but with something that people should know."""

    def cohort_ended(self, cohort: Cohort) -> None:
        """The results of all its trials are in the ledger."""

    def trial_ended(self, trial: Trial) -> None:
        """A trial's result is in the ledger."""
