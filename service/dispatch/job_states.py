"""Where the jobs of drivers stand, without asking the cluster again for what cannot change."""

from collections.abc import Callable, Iterator, Mapping

from service.dispatch.decisions import SUBMISSION_S
from service.dispatch.jobs import Jobs, JobState


class JobStates:
    """What the cluster says of jobs; those that are over it is asked for once.

    They stay so, since ids are used once.

    Args:
        jobs: The cluster's jobs.
        submission_s: How long after its start a job may come that the cluster does not know yet.
        answered: Called each time that the cluster has.
    """

    def __init__(
        self,
        jobs: Jobs,
        submission_s: float = SUBMISSION_S,
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        self._jobs = jobs
        self._answered = answered
        self._submission_s = submission_s
        self._over: dict[str, JobState | None] = {}

    def each(self, ages_s: Mapping[str, float]) -> Iterator[tuple[str, JobState | None]]:
        """The state of each job, or None if the cluster knows none of its id (any more).

        Args:
            ages_s: Seconds since each was started. What is over of others is forgotten.

        Raises:
            ClusterAwayError: If the cluster does not answer; of those before it did.
        """
        over: dict[str, JobState | None] = {}
        for job_id, age_s in ages_s.items():
            if job_id in self._over:
                state = over[job_id] = self._over[job_id]
            else:
                state = self._jobs.state(job_id)
                self._answered()
                if self._is_over(state, age_s):
                    over[job_id] = state
            yield job_id, state
        self._over = over

    def _is_over(self, state: JobState | None, age_s: float) -> bool:
        """Whether it will never be at work again."""
        return age_s > self._submission_s if state is None else state.status == "ended"
