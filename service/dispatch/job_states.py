"""Where the jobs of drivers stand, without asking the cluster again for what cannot change."""

import logging
from collections.abc import Callable, Iterator, Mapping

from service.dispatch.decisions import SUBMISSION_S
from service.dispatch.jobs import Jobs, JobState
from service.errors import ClusterTroubleError

# Of a job that the cluster has trouble with, while it answers for others: it may be at work.
UNKNOWN = JobState("running", None, None)

logger = logging.getLogger("monosweep")


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
        # Of which it was said already.
        self._troubled: set[str] = set()
        self._over: dict[str, JobState | None] = {}

    def each(self, ages_s: Mapping[str, float]) -> Iterator[tuple[str, JobState | None]]:
        """The state of each job, or None if the cluster knows none of its id (any more).

        One that it has trouble with is taken for one at work, and holds up no other.

        Args:
            ages_s: Seconds since each was started. What is over of others is forgotten.

        Raises:
            ClusterAwayError: If the cluster does not answer; of those before it did.
        """
        # Several threads may look at once, each at what one of them has left.
        known, over = self._over, dict[str, JobState | None]()
        for job_id, age_s in ages_s.items():
            if job_id in known:
                state = over[job_id] = known[job_id]
            else:
                state = self._asked(job_id)
                if self._is_over(state, age_s):
                    over[job_id] = state
            yield job_id, state
        self._over = over

    def _asked(self, job_id: str) -> JobState | None:
        try:
            state = self._jobs.state(job_id)
        except ClusterTroubleError as error:
            if job_id not in self._troubled:
                self._troubled.add(job_id)
                logger.warning("Where the driver's job %s stands is not known: %s", job_id, error)
            return UNKNOWN
        self._troubled.discard(job_id)
        self._answered()
        return state

    def _is_over(self, state: JobState | None, age_s: float) -> bool:
        """Whether it will never be at work again."""
        return age_s > self._submission_s if state is None else state.status == "ended"
