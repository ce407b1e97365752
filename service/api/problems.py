"""What goes wrong, as answers: RFC 9457 problems, of our own errors by their class."""

import logging
import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from service import errors
from service.api.models import Problem, SpecProblem
from service.errors import MonosweepError, SpecError
from service.home import without_password

MEDIA_TYPE = "application/problem+json"
# Until what is away may be asked for again.
_RETRY_S = 5

logger = logging.getLogger("monosweep")


class UnauthorizedError(MonosweepError):
    """Whoever asks has shown no good token."""

    def __init__(self) -> None:
        super().__init__(
            "every call must bear a good token (Authorization: Bearer TOKEN), found none, or one "
            "that is not known or was revoked. An admin makes one (monosweep token create)."
        )


class ForbiddenError(MonosweepError):
    """A good token, but not for this."""


class ConflictError(MonosweepError):
    """What is asked for makes no sense where the sweep stands."""


class TooManyCallsError(MonosweepError):
    """A caller asked too often.

    Attributes:
        retry_s: Seconds until it may ask again.
    """

    def __init__(self, message: str, retry_s: float) -> None:
        super().__init__(message)
        self.retry_s = retry_s


class ServerFullError(MonosweepError):
    """The queue holds as many sweeps as it may."""


class NotMadeError(MonosweepError):
    """A page or a table could not be made; the log says why."""


# The first that an error is one of tells the status and the last word of the type.
_KINDS: tuple[tuple[type[Exception], int, str], ...] = (
    (UnauthorizedError, 401, "unauthorized"),
    (ForbiddenError, 403, "forbidden"),
    (ConflictError, 409, "conflict"),
    (TooManyCallsError, 429, "too-many-calls"),
    (ServerFullError, 503, "server-full"),
    (NotMadeError, 500, "not-made"),
    (errors.LedgerAwayError, 503, "ledger-away"),
    (errors.StorageAwayError, 503, "storage-away"),
    (errors.TrackingAwayError, 503, "mlflow-away"),
    (errors.ClusterAwayError, 503, "cluster-away"),
    (errors.TrackingError, 503, "mlflow-away"),
    (errors.StorageError, 503, "storage-away"),
    (errors.SweepNotFoundError, 404, "sweep-not-found"),
    (errors.SweepExistsError, 409, "sweep-exists"),
    (errors.KeyReusedError, 409, "key-reused"),
    (errors.SweepDeletingError, 409, "sweep-deleting"),
    (errors.LeaseHeldError, 409, "sweep-at-work"),
    (errors.ElsewhereError, 409, "sweep-elsewhere"),
    (errors.SpecError, 422, "spec-invalid"),
    (errors.UserError, 422, "request-invalid"),
    (MonosweepError, 500, "internal"),
)
_BY_STATUS = {400: "request-unreadable", 404: "not-found", 413: "body-too-large"}
# What our own messages say of places and addresses is for the log, not for callers.
_HIDDEN = {
    "ledger-away": "The ledger does not answer now.",
    "storage-away": "The storage does not answer now.",
    "mlflow-away": "MLflow does not answer now.",
    "cluster-away": "The Ray cluster does not answer now.",
    "not-made": "What was asked for could not be made. The server's log says why.",
    "internal": "Something went wrong inside the server. Its log says what.",
}
_AGAIN = " Nothing was lost; ask again later."


def answer_of(error: MonosweepError) -> JSONResponse:
    """The answer that says what an error of ours means to a caller; what is hidden is logged."""
    status, kind = next(
        (status, kind) for known, status, kind in _KINDS if isinstance(error, known)
    )
    detail = without_password(str(error))
    if kind in _HIDDEN:
        logger.error("%s", detail, exc_info=error if kind == "internal" else None)
        detail = _HIDDEN[kind] + (_AGAIN if status == 503 else "")
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status in (429, 503):
        retry_s = error.retry_s if isinstance(error, TooManyCallsError) else _RETRY_S
        headers["Retry-After"] = str(math.ceil(retry_s))
    listed = error.problems if isinstance(error, SpecError) else ()
    problems = [SpecProblem(message=one.message, path=one.path, line=one.line) for one in listed]
    return _answer(status, kind, detail, problems, headers)


def _answer(
    status: int,
    kind: str,
    detail: str,
    problems: Sequence[SpecProblem] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    problem = Problem(
        type=f"urn:monosweep:{kind}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        problems=list(problems),
    )
    return JSONResponse(problem.model_dump(), status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Have every error of an app answered as a problem."""

    @app.exception_handler(MonosweepError)
    async def ours(_request: Request, error: MonosweepError) -> JSONResponse:
        return answer_of(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        return _answer(422, "request-invalid", _said(error.errors()))

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> JSONResponse:
        status = error.status_code
        phrase = HTTPStatus(status).phrase
        kind = _BY_STATUS.get(status, phrase.lower().replace(" ", "-"))
        # What the framework says of itself says less.
        is_ours = status == 413
        detail = error.detail if is_ours else _PLAIN.get(status, error.detail)
        return _answer(status, kind, detail, headers=dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def unexpected(_request: Request, _error: Exception) -> JSONResponse:
        return _answer(500, "internal", _HIDDEN["internal"])


_PLAIN = {
    400: "A body must be JSON in UTF-8, found something else. Mend it.",
    404: "There is nothing at this path. What there is: /openapi.json",
    405: "This path does not take this method. What it takes: /openapi.json",
}


def _said(found: Sequence[Any]) -> str:
    """What is wrong with a request, each thing with its place."""
    listed = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in found[:20]]
    return (
        f"The request must be as /openapi.json describes it, found: {'; '.join(listed)}. Mend it."
    )


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What ``/openapi.json`` says of these statuses, and of those that any call may have."""
    every = sorted({*statuses, 401, 422, 429, 500, 503})
    return {
        status: {"model": Problem, "description": HTTPStatus(status).phrase} for status in every
    }
