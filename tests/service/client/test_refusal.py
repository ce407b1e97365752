"""What a server, or something else at its URL, answers: our error, exit code and words."""

import httpx
import pytest

from service.client.access import Access
from service.client.refusal import refusal
from service.errors import (
    AwayError,
    MonosweepError,
    ServerAwayError,
    ServerError,
    ServerSilentError,
    SpecError,
    SweepNotFoundError,
    UserError,
)

URL = "https://sweeps.example"
ACCESS = Access(URL)


def problem(status: int, detail: str = "It must be so.", **more: object) -> httpx.Response:
    return httpx.Response(
        status,
        json={"type": "urn:monosweep:x", "status": status, "detail": detail, **more},
        headers={"content-type": "application/problem+json", "retry-after": "7"},
    )


def page(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, text="<html>", headers={"content-type": "text/html", **headers})


@pytest.mark.parametrize(
    ("answer", "kind", "code", "words"),
    [
        (problem(401), UserError, 2, "It must be so. Set MONOSWEEP_TOKEN"),
        (problem(403), UserError, 2, "It must be so."),
        (problem(404), UserError, 2, "It must be so."),
        (problem(404, type="urn:monosweep:sweep-not-found"), SweepNotFoundError, 2, "so."),
        (problem(409), UserError, 2, "It must be so."),
        (problem(413), UserError, 2, "It must be so."),
        (problem(422), UserError, 2, "It must be so."),
        (problem(429), ServerAwayError, 1, "It must be so."),
        (problem(500), ServerError, 1, f"the server at {URL} failed: It must be so."),
        (problem(503), ServerAwayError, 1, "It must be so."),
        (page(404), UserError, 2, f"a monosweep server at {URL}, found something that answers 404"),
        (page(500), UserError, 2, "found something that answers 500 (text/html)"),
        (page(502), ServerSilentError, 1, "what is before it says 502"),
        (page(307, location="https://evil.example"), UserError, 2, "on to https://evil.example"),
    ],
)
def test_each_has_a_message_and_an_exit_code(
    answer: httpx.Response, kind: type[MonosweepError], code: int, words: str
) -> None:
    error = refusal(answer, ACCESS, "tiny.yaml")
    assert (type(error), error.exit_code) == (kind, code)
    assert words in str(error)


def test_what_is_refused_for_now_says_when_to_ask_again() -> None:
    error = refusal(problem(503), ACCESS, "")
    assert isinstance(error, AwayError)
    assert isinstance(error, ServerAwayError)
    assert error.retry_after_s == 7


def test_mistakes_in_a_file_are_listed_as_if_it_was_read_here() -> None:
    found = [
        {"message": "b must be (b, line 9). Mend it.", "path": "b", "line": 9},
        {"message": "a must be (a, line 2). Mend it.", "path": "a", "line": 2},
    ]
    error = refusal(problem(422, problems=found), ACCESS, "tiny.yaml")
    assert isinstance(error, SpecError)
    assert str(error).splitlines() == [
        "tiny.yaml: 2 problems",
        "  - a must be (a, line 2). Mend it.",
        "  - b must be (b, line 9). Mend it.",
    ]


def test_no_answer_can_act_on_a_terminal() -> None:
    error = refusal(problem(409, "red \x1b[31m\nnext line"), ACCESS, "")
    assert str(error) == "red \\x1b[31m\nnext line"


def test_a_problem_that_is_none_is_something_elses() -> None:
    answer = httpx.Response(
        400, text="[1]", headers={"content-type": "application/problem+json; charset=utf-8"}
    )
    assert "there must be a monosweep server" in str(refusal(answer, ACCESS, ""))


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ("See those: GET /v1/sweeps", "See those: monosweep status --server URL"),
        ("Stop it: POST /v1/sweeps/my-one/stop", "Stop it: monosweep stop my-one --server URL"),
        (
            "More: POST /v1/sweeps/a_1/extend",
            "More: monosweep resume a_1 --num-trials N --server URL",
        ),
        # Of a sweep's own, which no command makes as it is.
        ("See GET /v1/sweeps/a and others.", "See GET /v1/sweeps/a and others."),
    ],
)
def test_advice_names_commands_that_mean_the_same_server(detail: str, said: str) -> None:
    named = Access(URL, again=" --server URL")
    assert str(refusal(problem(409, detail), named, "")) == said
