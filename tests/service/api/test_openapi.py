"""The API under its own OpenAPI: whatever it allows is answered as it says."""

from itertools import product
from typing import Any

import httpx
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from service.api.making import Maker
from service.api.problems import ConflictError

# Of those that take seconds only whether they are there: tested elsewhere.
SLOW = r".*/(report|export/.*|events)$"
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


@pytest.fixture
def busy_url(
    live: tuple[Any, str], tiny_text: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, dict[str, str]]:
    """Where an app listens that knows some sweeps, and an admin's header."""

    async def make(*_: Any, **__: Any) -> None:
        raise ConflictError("takes seconds")

    monkeypatch.setattr(Maker, "make", make)
    monkeypatch.setattr("service.tracking.check_answers", lambda _uri: None)
    monkeypatch.setattr("service.tracking.remove", lambda _uri, _name: None)
    served, url = live
    for name in ("a", "0", "tiny"):
        body = {"spec": tiny_text, "name": name}
        answer = httpx.post(
            f"{url}/v1/sweeps", json=body, headers=served.bearing("ann"), timeout=60
        )
        assert answer.status_code == 201
    return url, served.bearing("root")


def test_no_server_error_and_no_answer_that_is_not_described(
    busy_url: tuple[str, dict[str, str]],
) -> None:
    url, headers = busy_url
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json").exclude(path_regex=SLOW)
    names = ["tiny", "a", "0", "none"]
    num_asked = 0
    # Not ready, for lack of a cluster that answers, is no error.
    operations = [each.ok() for each in schema.exclude(path="/v1/ready").get_all_operations()]
    for operation, mode in product(operations, schemathesis.GenerationMode):
        takes = operation.definition.raw
        if mode.is_negative and not (takes.get("parameters") or takes.get("requestBody")):
            continue  # nothing can be wrong with it

        @settings(
            max_examples=5,
            deadline=None,
            derandomize=True,
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
            case.call_and_validate(headers=headers, checks=CHECKS)

        ask()
    assert num_asked > 60
