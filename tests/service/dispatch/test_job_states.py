from collections.abc import Sequence

import pytest

from service.dispatch.decisions import SUBMISSION_S
from service.dispatch.job_states import JobStates
from service.dispatch.jobs import JobState
from service.errors import ClusterAwayError

RUNNING, ENDED = JobState("running", None, None), JobState("ended", 0, None)


class Cluster:
    """Says of jobs what it was told to, and keeps what it was asked."""

    def __init__(self, states: dict[str, JobState]) -> None:
        self.states = states
        self.asked: list[str] = []
        self.away: set[str] = set()

    def submit(self, job_id: str, words: Sequence[str]) -> None:
        raise NotImplementedError

    def stop(self, job_id: str) -> None:
        raise NotImplementedError

    def log(self, job_id: str, num_lines: int) -> str:
        raise NotImplementedError

    def state(self, job_id: str) -> JobState | None:
        if job_id in self.away:
            raise ClusterAwayError("away")
        self.asked.append(job_id)
        return self.states.get(job_id)


def test_what_is_over_is_asked_for_once() -> None:
    cluster = Cluster({"a": RUNNING, "b": ENDED})
    states = JobStates(cluster)
    for _ in range(2):
        assert dict(states.each({"a": 5.0, "b": 5.0})) == {"a": RUNNING, "b": ENDED}
    assert cluster.asked == ["a", "b", "a"]


def test_a_job_that_is_not_known_may_still_come() -> None:
    cluster = Cluster({})
    states = JobStates(cluster)
    assert dict(states.each({"young": SUBMISSION_S - 1.0, "old": SUBMISSION_S + 1.0})) == {
        "young": None,
        "old": None,
    }
    cluster.states = {"young": RUNNING, "old": RUNNING}
    assert dict(states.each({"young": SUBMISSION_S, "old": 2 * SUBMISSION_S})) == {
        "young": RUNNING,
        "old": None,
    }


def test_what_nobody_asks_for_any_more_is_forgotten() -> None:
    cluster = Cluster({"a": ENDED})
    states = JobStates(cluster)
    for wanted in ({"a": 1.0}, {}, {"a": 1.0}):
        assert dict(states.each(wanted)) == dict.fromkeys(wanted, ENDED)
    assert cluster.asked == ["a", "a"]


def test_what_was_heard_before_the_cluster_went_away_is_told() -> None:
    cluster = Cluster({"a": ENDED, "b": RUNNING})
    answers: list[bool] = []
    states = JobStates(cluster, answered=lambda: answers.append(True))
    dict(states.each({"a": 1.0}))
    cluster.away = {"b"}
    found = {}
    with pytest.raises(ClusterAwayError):
        for job_id, state in states.each({"a": 1.0, "b": 1.0}):
            found[job_id] = state
    assert found == {"a": ENDED}
    # What was known already says nothing of whether the cluster answers.
    assert len(answers) == 1
