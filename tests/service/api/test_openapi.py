"""The API under its own OpenAPI: whatever it allows is answered as it says."""

import secrets
from collections.abc import Sequence
from typing import Any

import httpx
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from large_sweep import large_sweep
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from service.api.limits import Limits
from service.api.making import Maker
from service.api.problems import ConflictError
from service.home import Home

# Those that take seconds.
SLOW = r".*/(report|export/.*|events)$"
# Calls of each operation, of each kind.
NUM_QUICK, NUM_SLOW, NUM_LONG = 5, 2, 50
# Until an answer, also on a machine that does much else.
PATIENCE_S = 120
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def test_it_is_openapi_and_every_call_but_the_open_ones_needs_a_token(served: Any) -> None:
    schema = served.get("/openapi.json", None).json()
    assert schema["openapi"].startswith("3.1")
    jsonschema.Draft202012Validator.check_schema(schema["components"]["schemas"])
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            is_open = path in ("/v1/health", "/v1/ready")
            assert ("security" in operation) is not is_open, path
            assert ("401" in operation["responses"]) is not is_open, path
            for status, answer in operation["responses"].items():
                kinds = set(answer.get("content", {}))
                if int(status) >= 400 and path != "/v1/ready":
                    assert kinds == {"application/problem+json"}, (path, status)


def _submit(served: Any, url: str, text: str) -> None:
    """Some sweeps, by names that are not hit upon by chance and by some that are."""
    for name in ("a", "0", "tiny"):
        body = {"spec": text, "name": name}
        answer = httpx.post(
            f"{url}/v1/sweeps", json=body, headers=served.bearing("ann"), timeout=60
        )
        assert answer.status_code == 201


def _ask(
    operation: Any, names: Sequence[str], headers: Any, num: int, number: int | None = None
) -> int:
    """Ask for what an operation allows, and for what it does not; how often it was asked.

    Args:
        operation: Of the schema.
        names: Of sweeps, in turn.
        headers: What every call bears.
        num: Calls of each kind, at most.
        number: What the calls are drawn by; by default the same ones are drawn every time.
    """
    num_asked = 0
    for mode in schemathesis.GenerationMode:
        takes = operation.definition.raw
        if mode.is_negative and not (takes.get("parameters") or takes.get("requestBody")):
            continue  # nothing can be wrong with it

        @seed(number)
        @settings(
            max_examples=num,
            deadline=None,
            derandomize=number is None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            nonlocal num_asked
            num_asked += 1
            if "name" in case.path_parameters:
                case.path_parameters["name"] = names[num_asked % len(names)]
            # The schema is of a stream's whole text, each of whose events would be held to it.
            is_stream = case.path.endswith("/events")
            excluded = [response_schema_conformance] if is_stream else None
            case.call_and_validate(
                headers=headers, checks=CHECKS, excluded_checks=excluded, timeout=PATIENCE_S
            )

        ask()
    return num_asked


@pytest.mark.usefixtures("without_mlflow")
def test_no_server_error_and_no_answer_that_is_not_described(
    live: tuple[Any, str], tiny_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def make(*_: Any, **__: Any) -> None:
        raise ConflictError("takes seconds")

    monkeypatch.setattr(Maker, "make", make)
    served, url = live
    _submit(served, url, tiny_text)
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json").exclude(path_regex=SLOW)
    # Not ready, for lack of a cluster that answers, is no error.
    operations = [each.ok() for each in schema.exclude(path="/v1/ready").get_all_operations()]
    names = ["tiny", "a", "0", "none"]
    headers = served.bearing("root")
    assert sum(_ask(each, names, headers, NUM_QUICK) for each in operations) > 60


@pytest.mark.occasional
@pytest.mark.usefixtures("without_mlflow")
def test_the_same_holds_of_calls_that_nobody_has_seen_before(
    serve: Any, home: Home, listening: Any, tiny_text: str
) -> None:
    # Told where it fails; put in here, it fails again.
    number = secrets.randbits(32)
    print(f"seed: {number}")
    many = 10**6
    with (
        serve(home, Limits(calls_per_s=many, calls_at_once=many)) as served,
        listening(served.app) as url,
    ):
        large_sweep(home, 8, "drawn")
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        headers = served.bearing("root")
        # At first, while nobody has had what is finished go on: streams of it come to an end.
        made = [each.ok() for each in schema.include(path_regex=SLOW).get_all_operations()]
        assert len(made) == 3
        for each in made:
            assert _ask(each, ["drawn", "none"], headers, NUM_SLOW, number) > 2
        _submit(served, url, tiny_text)
        others = schema.exclude(path_regex=SLOW).exclude(path="/v1/ready")
        names = ["drawn", "tiny", "a", "0", "none"]
        asked = [
            _ask(each.ok(), names, headers, NUM_LONG, number)
            for each in others.get_all_operations()
        ]
        assert sum(asked) > 500
