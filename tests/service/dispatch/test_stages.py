"""Where a sweep stands for a server: one row for each way to get there."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from service.dispatch.jobs import JobState
from service.dispatch.stages import Stage, stage_of

RUNNING = JobState("running", None, None)
PENDING = JobState("pending", None, None)
KILLED = JobState("ended", -9, "killed")
STARTED = {"job_id": "j", "started_at": 1010.0, "num_starts": 1}
FAILED = {**STARTED, "num_failures": 1, "next_start_at": 1020.0, "problem": "killed"}


@pytest.mark.parametrize(
    ("entry", "record", "job", "stage"),
    [
        ({}, {}, None, "queued"),
        (STARTED, {}, None, "starting"),
        (STARTED, {}, PENDING, "starting"),
        (STARTED, {}, RUNNING, "starting"),
        (STARTED, {"is_live": True}, RUNNING, "running"),
        # By hand, or on a machine that is cut off from the cluster.
        ({}, {"is_live": True}, None, "running"),
        (STARTED, {"is_live": True}, KILLED, "running"),
        ({**STARTED, "is_wanted": False}, {"is_live": True}, RUNNING, "stopping"),
        ({**STARTED, "is_wanted": False}, {}, RUNNING, "stopping"),
        ({**STARTED, "is_wanted": False}, {}, KILLED, "stopped"),
        ({**STARTED, "is_wanted": False}, {}, None, "stopped"),
        ({"is_wanted": False}, {}, None, "stopped"),
        ({**FAILED, "is_wanted": False}, {}, KILLED, "stopped"),
        (STARTED, {}, KILLED, "waiting"),
        (FAILED, {}, KILLED, "waiting"),
        # The next one.
        ({**FAILED, "started_at": 1030.0}, {}, PENDING, "starting"),
        ({**FAILED, "next_start_at": math.inf}, {}, KILLED, "failed"),
        ({**FAILED, "next_start_at": math.inf, "is_wanted": False}, {}, KILLED, "stopped"),
        (STARTED, {"failure": "diverged"}, JobState("ended", 1, "x"), "failed"),
        ({**STARTED, "is_wanted": False}, {"failure": "diverged"}, KILLED, "failed"),
        # Wanted again after that.
        ({**STARTED, "next_start_at": 1020.0}, {"failure": "diverged"}, KILLED, "queued"),
        (STARTED, {"finished_at": 1100.0}, JobState("ended", 0, None), "finished"),
        # MLflow is still being shown the end.
        (STARTED, {"finished_at": 1100.0, "is_live": True}, RUNNING, "finished"),
        ({"num_trials": 4}, {"finished_at": 1100.0}, None, "finished"),
        ({"num_trials": 8}, {"finished_at": 1100.0}, None, "queued"),
        (STARTED, {"deleting_at": 1100.0, "is_live": True}, RUNNING, "deleting"),
        (None, {}, None, "unmanaged"),
        (None, {"finished_at": 1100.0}, None, "unmanaged"),
        (None, {"deleting_at": 1100.0}, None, "deleting"),
    ],
)
def test_the_stage_of_a_sweep(
    *,
    make_entry: Callable[..., Any],
    make_record: Callable[..., Any],
    entry: dict[str, Any] | None,
    record: dict[str, Any],
    job: JobState | None,
    stage: Stage,
) -> None:
    made = None if entry is None else make_entry(sweep="s", **entry)
    assert stage_of(made, make_record(name="s", **record), job) == stage
