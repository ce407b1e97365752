"""The form that submits a sweep: a file's mistakes are said beside it, and nothing is lost."""

import secrets
from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from service.api.access import CallerParameter, SubmitterRoute
from service.api.backing import BackingParameter
from service.api.models import Problem, Submission
from service.api.pages.forms import form_of
from service.api.pages.rendering import page
from service.api.problems import answer_of
from service.api.routes import sweeps
from service.bounds import MOST_PRIORITY
from service.errors import MonosweepError, UserError
from service.simple_word import SIMPLE_WORD
from service.spec import load_spec

router = APIRouter(route_class=SubmitterRoute)

EXAMPLE = "quickstart"
_KEY_BYTES = 16


@router.get("/submit")
async def show_form(request: Request) -> Response:
    """The form, with an example to begin with."""
    example = await run_in_threadpool(load_spec, EXAMPLE)
    given = {"spec": example.text, "name": "", "priority": "0", "key": _new_key()}
    return _form(request, given, None)


@router.post("/submit")
async def submit(request: Request, backing: BackingParameter, caller: CallerParameter) -> Response:
    """Queue a sweep, or show what keeps it from being queued."""
    form = await form_of(request)
    given = {"priority": "0", **{name: form.get(name, "") for name in ("spec", "name", "priority")}}
    # Sent again, by a second click or a reload, it is the same submission.
    given["key"] = form.get("key") or _new_key()
    answer = Response()
    try:
        found = await sweeps.submit(
            request=request,
            response=answer,
            submission=_submission(given),
            backing=backing,
            caller=caller,
            idempotency_key=given["key"][:128],
        )
    except MonosweepError as error:
        refusal = answer_of(error)
        problem = Problem.model_validate_json(bytes(refusal.body))
        # What is changed now is another submission.
        return _form(request, {**given, "key": _new_key()}, problem)
    return RedirectResponse(f"/sweeps/{found['name']}", 303)


def _submission(given: Mapping[str, str]) -> Submission:
    """What was typed, as the API takes it.

    Raises:
        UserError: With all that it would not take.
    """
    try:
        priority: int | str = int(given["priority"].strip() or "0")
    except ValueError:
        priority = given["priority"]
    name = given["name"].strip() or None
    try:
        return Submission.model_validate(
            {"spec": given["spec"], "name": name, "priority": priority}
        )
    except ValidationError as error:
        rules = {
            "spec": "the sweep file must be at most 65,536 characters long",
            "name": f"the name must be {SIMPLE_WORD}",
            "priority": f"the priority must be a whole number from {-MOST_PRIORITY} to "
            f"{MOST_PRIORITY}",
        }
        broken = dict.fromkeys(str(one["loc"][0]) for one in error.errors())
        raise UserError(
            "\n".join(f"{rules[field]}, found another. Mend it." for field in broken)
        ) from error


def _form(request: Request, given: Mapping[str, str], problem: Problem | None) -> Response:
    lines = given["spec"].split("\n")
    problems = [
        (one, lines[one.line - 1] if 0 < one.line <= len(lines) else "")
        for one in (problem.problems if problem else ())
    ]
    return page(
        request,
        "submit.html",
        status=problem.status if problem else 200,
        given=given,
        problem=problem,
        problems=problems,
        example=EXAMPLE,
        most_priority=MOST_PRIORITY,
    )


def _new_key() -> str:
    return f"page-{secrets.token_urlsafe(_KEY_BYTES)}"
