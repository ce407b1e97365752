"""Where a sweep stands for a server, in words."""

import time
from typing import Any

import pytest

from service.stage_view import (
    PATIENCE_S,
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


RESOLVED = {"cpus": 2, "gpus": 0.0}


def test_waiting_for_room_is_told_when_it_takes_long() -> None:
    def told(waited_s: float, **resolved: float) -> str | None:
        since = time.time() - waited_s
        return waiting_in_words({"waiting_since": since, "resolved": {**RESOLVED, **resolved}})

    assert waiting_in_words({"state": "running"}) is None
    assert waiting_in_words({"waiting_since": None, "resolved": RESOLVED}) is None
    assert told(PATIENCE_S - 5) is None
    said = told(180.0)
    assert said is not None
    assert "for 3 min a cohort has waited for 2 CPUs on one machine" in said
    assert "2 CPUs and 0.5 GPU on" in str(told(180.0, gpus=0.5))


def test_who_submitted_it_and_what_went_wrong() -> None:
    assert server_lines({"state": "running"}) == []
    assert server_lines({"state": "running", "stage": "unmanaged", "owner": None}) == []
    assert server_lines(SUBMITTED) == ["server   submitted by ada"]
    assert server_lines({**SUBMITTED, "priority": -2, "problem": "No memory."}) == [
        "server   submitted by ada, priority -2",
        "         its last driver came to nothing: No memory.",
    ]
