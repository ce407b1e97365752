"""Where a sweep stands for a server, in words."""

from typing import Any

import pytest

from service.stage_view import (
    is_left,
    server_lines,
    stage_in_words,
    stage_of,
    waiting_in_words,
)

SUBMITTED = {"owner": "ada", "priority": 0, "problem": None}


@pytest.mark.parametrize(
    ("status", "stage", "words", "left"),
    [
        # Of this home's ledger, which knows of no server.
        ({"state": "interrupted"}, "interrupted", "interrupted", True),
        ({"state": "running"}, "running", "running", False),
        # A server's, whose lease nobody holds while it waits.
        ({"state": "interrupted", "stage": "queued"}, "queued", "queued", False),
        (
            {"state": "interrupted", "stage": "queued", "position": 2},
            "queued",
            "queued (number 2)",
            False,
        ),
        ({"state": "interrupted", "stage": "waiting", "position": 1}, "waiting", "waiting", False),
        ({"state": "interrupted", "stage": "stopped"}, "stopped", "stopped", True),
        ({"state": "running", "stage": "stopping"}, "stopping", "stopping", False),
        # On a server's ledger, but nobody submitted it.
        ({"state": "interrupted", "stage": "unmanaged"}, "interrupted", "interrupted", True),
        ({"state": "running", "stage": "unmanaged"}, "running", "running", False),
    ],
)
def test_words(status: dict[str, Any], stage: str, words: str, left: bool) -> None:
    assert (stage_of(status), stage_in_words(status), is_left(status)) == (stage, words, left)


WAITS = {"state": "running", "waits_for_worker": True, "resolved": {"cpus": 2, "gpus": 0.0}}


def test_what_a_sweep_waits_for_that_no_worker_takes() -> None:
    for other in (
        {"state": "running"},
        {**WAITS, "waits_for_worker": False},
        # Its driver is asked to leave, which is to be seen.
        {**WAITS, "stage": "stopping"},
    ):
        assert waiting_in_words(other) is None
    said = str(waiting_in_words(WAITS))
    assert said.startswith("Nothing of it is trained: no worker has taken its next cohort (2 CPUs ")
    half = {**WAITS, "resolved": {"cpus": 1, "gpus": 0.5}}
    assert "(1 CPU and 0.5 GPU on one machine" in str(waiting_in_words(half))


def test_who_submitted_it_and_what_went_wrong() -> None:
    assert server_lines({"state": "running"}) == []
    assert server_lines({"state": "running", "stage": "unmanaged", "owner": None}) == []
    assert server_lines(SUBMITTED) == ["server   submitted by ada"]
    assert server_lines({**SUBMITTED, "priority": -2, "problem": "No memory."}) == [
        "server   submitted by ada, priority -2",
        "         its last driver came to nothing: No memory.",
    ]
