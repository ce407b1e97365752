"""What a server answers other than what it was asked for, as our errors.

Its errors are problems (RFC 9457), whose ``detail`` is a message of monosweep's own. What else may
answer at a URL, a proxy or another program, is told from them.
"""

import re
from functools import partial
from typing import Any

import httpx

from service.client.access import SERVER, TOKEN, TOKEN_FILE, Access
from service.errors import (
    MonosweepError,
    Problem,
    ServerAwayError,
    ServerError,
    ServerSilentError,
    SpecError,
    SweepNotFoundError,
    UserError,
)
from service.spec.yaml_values import printable

PROBLEM = "application/problem+json"
_NOT_FOUND = "urn:monosweep:sweep-not-found"
_NOT_NOW = (429, 503)
# Calls that its advice names, and the commands that make them.
_COMMANDS = (
    (re.compile(r"GET /v1/sweeps(?![/\w])"), "status"),
    (re.compile(r"POST /v1/sweeps/([\w-]+)/stop\b"), r"stop \1"),
    (re.compile(r"POST /v1/sweeps/([\w-]+)/extend\b"), r"resume \1 --num-trials N"),
)
# What proxies say of a server that is behind them and away.
_BEHIND = (502, 503, 504)


def refusal(response: httpx.Response, access: Access, origin: str) -> MonosweepError:
    """The error that an answer stands for.

    Args:
        response: An answer other than a success, read to its end.
        access: Where it came from.
        origin: What to call the sweep file that was sent, if one was.
    """
    status, url = response.status_code, access.url
    problem = _problem(response)
    if problem is None:
        return _by_others(response, url)
    detail = _with_commands(plain(str(problem["detail"])), access.again)
    if status == 401:
        return UserError(f"{detail} Set {TOKEN} to it, or {TOKEN_FILE} to a file that has it.")
    if problem.get("type") == _NOT_FOUND:
        return SweepNotFoundError(detail)
    if status in _NOT_NOW:
        return ServerAwayError(detail, _seconds(response.headers.get("retry-after")))
    if status >= 500:
        return ServerError(f"the server at {url} failed: {detail} Its own log says more.")
    found = _problems(problem.get("problems"))
    return SpecError.of(origin, found) if found else UserError(detail)


def no_server(response: httpx.Response, url: str) -> UserError:
    """The error for an answer that no server of ours gives."""
    kind = response.headers.get("content-type", "no content type").partition(";")[0]
    return UserError(
        f"there must be a monosweep server at {url}, found something that answers "
        f"{response.status_code} ({printable(kind)}). Check --server ({SERVER})."
    )


def unreachable(error: httpx.RequestError, url: str) -> MonosweepError:
    """The error for no answer at all, or half of one."""
    said = printable(str(error)) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return UserError(
            f"a server's certificate must be one that this machine trusts, found: {said} ({url}). "
            "If it is by an authority of your own, name its file with SSL_CERT_FILE."
        )
    return ServerSilentError(
        f"the server does not answer: {said} ({url}). Check --server ({SERVER}), and that it runs."
    )


def plain(text: str) -> str:
    """A message from elsewhere, with what a terminal would act on escaped."""
    return "\n".join(printable(line) for line in text.split("\n"))


def _with_commands(detail: str, again: str) -> str:
    """A server's advice, which names calls, for somebody who gives commands.

    Args:
        detail: What it says.
        again: What a further command must be told to mean the same server.
    """
    for call, command in _COMMANDS:
        detail = call.sub(partial(_as_command, command, again), detail)
    return detail


def _as_command(command: str, again: str, call: re.Match[str]) -> str:
    return f"monosweep {call.expand(command)}{again}"


def _problem(response: httpx.Response) -> dict[str, Any] | None:
    if not response.headers.get("content-type", "").startswith(PROBLEM):
        return None
    try:
        content = response.json()
    except ValueError:
        return None
    return content if isinstance(content, dict) and "detail" in content else None


def _by_others(response: httpx.Response, url: str) -> MonosweepError:
    status = response.status_code
    if status in _BEHIND:
        return ServerSilentError(
            f"the server does not answer: what is before it says {status} ({url}).",
            _seconds(response.headers.get("retry-after")),
        )
    if response.is_redirect:
        to = printable(response.headers.get("location", "nowhere"))
        return UserError(
            f"a server must answer itself, found one that sends its callers on to {to} ({url}), "
            f"where a token is not sent. Name the right one: --server ({SERVER})."
        )
    return no_server(response, url)


def _problems(found: Any) -> list[Problem]:
    """Of a sweep file; as the server's own reader of such files found them."""
    if not isinstance(found, list):
        return []
    return [
        Problem(plain(str(one.get("message"))), str(one.get("path", "")), _line(one.get("line")))
        for one in found
        if isinstance(one, dict)
    ]


def _line(found: Any) -> int:
    return found if isinstance(found, int) else 1


def _seconds(header: str | None) -> float:
    return float(header) if header is not None and header.isdecimal() else 0.0
