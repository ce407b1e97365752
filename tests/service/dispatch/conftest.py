"""Entries and sweeps by hand, a clock for the database, and a cluster that does as it is told."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Float, literal

from service.dispatch.jobs import JobState
from service.errors import ClusterAwayError, ClusterTroubleError
from service.home import Home
from service.ledger import Ledger, SweepRecord, lease, tables
from service.ledger.queue import Entry

MakeEntry = Callable[..., Entry]
MakeRecord = Callable[..., SweepRecord]


@pytest.fixture(scope="session")
def make_entry() -> MakeEntry:
    """An entry that was just submitted, changed as told: ``make_entry("s", owner="ada")``."""
    return partial(
        Entry,
        owner="ada",
        priority=0,
        idempotency_key=None,
        submitted_at=1000.0,
        is_wanted=True,
        num_trials=None,
        job_id=None,
        started_at=None,
        num_starts=0,
        num_failures=0,
        num_refusals=0,
        next_start_at=1000.0,
        problem=None,
    )


@pytest.fixture(scope="session")
def make_record() -> MakeRecord:
    """A sweep that was just begun, changed as told."""
    return partial(
        SweepRecord,
        spec_text="",
        settings={},
        versions={},
        num_trials=4,
        resolved=None,
        phase="baseline",
        verdict=None,
        failure=None,
        created_at=1000.0,
        finished_at=None,
        deleting_at=None,
        budgets=None,
        is_live=False,
    )


class Clock:
    """The database's clock, which goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self, _connection: object) -> Any:
        return literal(self.now, Float)

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(tables, "now", clock)
    monkeypatch.setattr(lease, "now", clock)
    return clock


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger without sweeps, to be copied: to make one takes a second."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    with closing(Ledger(f"sqlite:///{path}")):
        return path


@pytest.fixture
def ledger(home: Home, empty_ledger: Path) -> Iterator[Ledger]:
    home.path.mkdir()
    shutil.copy(empty_ledger, home.path / "ledger.db")
    with closing(Ledger(home.ledger_url, create=False)) as ledger:
        yield ledger


RUNNING = JobState("running", None, None)


@dataclass
class Cluster:
    """Jobs that do nothing but what a test says of them."""

    jobs: dict[str, JobState] = field(default_factory=dict)
    words: dict[str, Sequence[str]] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    is_away: bool = False
    takes_jobs: bool = True
    # Ids of which it answers that something went wrong.
    troubled: set[str] = field(default_factory=set)

    def submit(self, job_id: str, words: Sequence[str]) -> None:
        self._answer()
        assert job_id not in self.words, "an id must be used once"
        self.words[job_id] = words
        self.jobs[job_id] = RUNNING
        if not self.takes_jobs:
            raise ClusterAwayError("no answer in time.")

    def stop(self, job_id: str) -> None:
        self._answer(job_id)
        self.stopped.append(job_id)

    def state(self, job_id: str) -> JobState | None:
        self._answer(job_id)
        return self.jobs.get(job_id)

    def log(self, job_id: str, num_lines: int) -> str:
        raise NotImplementedError

    def ends(self, job_id: str, exit_code: int | None, message: str = "it said so.") -> None:
        self.jobs[job_id] = JobState("ended", exit_code, message)

    def _answer(self, job_id: str = "") -> None:
        if self.is_away:
            raise ClusterAwayError("the Ray cluster does not answer.")
        if job_id in self.troubled:
            raise ClusterTroubleError("the Ray cluster has trouble: status code 500")


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()
