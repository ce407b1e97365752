"""Which parts of the system answer: told to everybody, so without addresses and secrets."""

import httpx
from sqlalchemy import select

from service.api.models import Part, Parts, Readiness
from service.dispatch.jobs import Jobs
from service.errors import AwayError, LedgerError, StorageError, UserError
from service.home import Home
from service.ledger import Ledger
from service.storage import Storage, answering

_ANSWERS = Part(ready=True, detail="answers")
_AWAY = Part(ready=False, detail="does not answer")
# No job has it: a cluster that answers says so.
_NOBODYS_JOB = "monosweep-ready"
_PATIENCE_S = 3.0


def readiness(ledger: Ledger, home: Home, jobs: Jobs | None) -> Readiness:
    """Whether sweeps can be run now. MLflow may be away: what it misses it is told later."""
    parts = Parts(
        ledger=_ledger(ledger),
        cluster=_cluster(jobs),
        storage=_storage(home),
        mlflow=_mlflow(home),
    )
    is_ready = parts.ledger.ready and parts.cluster.ready and parts.storage.ready
    return Readiness(ready=is_ready, parts=parts)


def missing(found: Readiness) -> list[str]:
    """What does not answer, a line each."""
    parts = {"ledger": "The ledger", "cluster": "The Ray cluster", "storage": "The storage"}
    parts["mlflow"] = "MLflow"
    return [
        f"{words} {getattr(found.parts, name).detail}."
        for name, words in parts.items()
        if not getattr(found.parts, name).ready
    ]


def _ledger(ledger: Ledger) -> Part:
    try:
        with ledger.engine.connect() as connection:
            connection.execute(select(1))
    except LedgerError:
        return _AWAY
    return _ANSWERS


def _cluster(jobs: Jobs | None) -> Part:
    if jobs is None:
        return Part(ready=False, detail="was not named: monosweep serve --ray URL")
    try:
        jobs.state(_NOBODYS_JOB)
    except AwayError:
        return _AWAY
    return _ANSWERS


def _storage(home: Home) -> Part:
    try:
        with answering():
            Storage(home.storage).names("cohorts")
    except (StorageError, UserError):
        return _AWAY
    return _ANSWERS


def _mlflow(home: Home) -> Part:
    if not home.tracking_uri.startswith(("http:", "https:")):
        return Part(ready=True, detail="a database that drivers write to")
    try:
        answer = httpx.get(f"{home.tracking_uri.rstrip('/')}/health", timeout=_PATIENCE_S)
    except (httpx.HTTPError, httpx.InvalidURL):
        return _AWAY
    return _ANSWERS if answer.is_success else _AWAY
