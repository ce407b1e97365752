"""The answers of the API, and the bodies it takes, as ``/openapi.json`` describes them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.bounds import MOST_PRIORITY, MOST_TRIALS
from service.dispatch.stages import Stage
from service.ledger.tokens import Role
from service.simple_word import PATTERN
from service.trials import Phase, State

MAX_PAGE = 200
MAX_SPEC_CHARS = 64 * 1024

Name = Annotated[
    str,
    Field(description="A sweep's name.", pattern=PATTERN),
]
NumTrials = Annotated[int, Field(ge=1, le=MOST_TRIALS, strict=True)]


class Body(BaseModel):
    """What a request brings: no more keys than are known, no number for a word."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Submission(Body):
    """A sweep to be queued."""

    spec: str = Field(description="The sweep file's text.", max_length=MAX_SPEC_CHARS)
    name: Name | None = Field(default=None, description="A name other than the file's.")
    priority: int = Field(
        default=0,
        ge=-MOST_PRIORITY,
        le=MOST_PRIORITY,
        description="Of the sweeps that wait, those of the highest priority go first.",
    )


class Extension(Body):
    """A larger budget of a sweep's search."""

    num_trials: NumTrials = Field(description="The new number of search trials, in all.")


class SpecProblem(BaseModel):
    """One thing that a sweep file must mend."""

    message: str
    path: str = Field(description="The key, dotted; empty for the file as a whole.")
    line: int


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(examples=["urn:monosweep:sweep-not-found"])
    title: str
    status: int
    detail: str = Field(description="What must hold, what was found, what to do.")
    problems: list[SpecProblem] = Field(description="A sweep file's mistakes, by line.")


class Health(BaseModel):
    """The server is at work."""

    status: Literal["ok"] = "ok"


class Part(BaseModel):
    """Whether one part of the system answers."""

    ready: bool
    detail: str


class Parts(BaseModel):
    """The parts of the system."""

    ledger: Part
    cluster: Part
    storage: Part
    mlflow: Part


class Readiness(BaseModel):
    """Whether sweeps can be run: by all parts but MLflow, which is caught up with later."""

    ready: bool
    parts: Parts


class WhoAmI(BaseModel):
    """Whose token a request bears."""

    name: str
    role: Role


class Counts(BaseModel):
    """Trials by state."""

    complete: int
    pruned: int
    failed: int
    running: int
    waiting: int


class Queued(BaseModel):
    """Where a sweep stands for the server."""

    stage: Stage
    owner: str | None = Field(description="The token that submitted it; null without an entry.")
    priority: int | None
    submitted_at: float | None = Field(description="Seconds since 1970.")
    position: int | None = Field(description="How many-th it is of those that wait, from 1.")
    num_starts: int = Field(description="How many drivers were started for it.")
    problem: str | None = Field(description="Why its last driver came to nothing.")
    num_trials_wanted: int | None = Field(
        description="The budget that its next driver extends the search to."
    )


class SweepSummary(Queued):
    """A sweep in a list."""

    name: str
    state: str
    phase: str
    num_trials: int
    trials: Counts
    best: dict[str, Any] | None
    verdict: str | None


class SweepStatus(SweepSummary):
    """Where a sweep stands, as ``monosweep status NAME --json`` says, and for the server."""

    failure: str | None
    search_ended: str | None
    resolved: dict[str, Any] | None
    waits_for_worker: bool = Field(
        description="Whether nothing of it is trained, since no worker has taken its cohorts."
    )
    phases: dict[Phase, Counts]
    baseline: dict[str, Any] | None
    objective: str
    objectives: list[dict[str, Any]]
    limits: list[dict[str, Any]]
    max_loss_ratio: float | None
    front: list[dict[str, Any]]


class SweepList(BaseModel):
    """A page of sweeps, in the order of their submission that was asked for."""

    sweeps: list[SweepSummary]
    next: str | None = Field(description="What `after` is for the next page; null on the last.")


class SpecText(BaseModel):
    """A sweep's file."""

    spec: str


class TrialAnswer(BaseModel):
    """A trial; what is not known is null."""

    trial_id: str
    phase: Phase
    number: int
    role: str | None
    same_as: str | None
    state: State
    cohort_id: str
    attempts: int
    seeds: list[int]
    settings: dict[str, float | int | str | None]
    params: dict[str, float | int | str | None]
    reason: str | None
    metrics: dict[str, float | None]
    loss_ratio: float | None
    num_steps: int | None
    train_s: float | None
    feasible: bool | None
    mlflow_run_id: str | None


class TrialList(BaseModel):
    """A page of trials, by phase and number."""

    trials: list[TrialAnswer]
    next: str | None = Field(description="What `after` is for the next page; null on the last.")


class DeedAnswer(BaseModel):
    """Something that somebody asked for."""

    at: float = Field(description="Seconds since 1970, by the ledger's clock.")
    who: str | None
    role: str | None
    client: str | None
    action: str
    sweep: str | None
    status: int


class DeedList(BaseModel):
    """What was asked for, the newest first."""

    deeds: list[DeedAnswer]


class Verdict(BaseModel):
    """The verdict, as ``monosweep best NAME --json`` says it."""

    # A verdict is kept as it was given: those of other versions may have more keys, or fewer.
    model_config = ConfigDict(extra="allow")

    name: str
    confirmed: bool
    num_seeds: int
    loss_margin: float | None
    loss_ratio: dict[str, Any] | None
    baseline: dict[str, Any] | None
    winner: dict[str, Any] | None
    sentence: str
