"""What callers do wrong: a documented status, a clear message, and nothing half done."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from service.api.limits import Limits
from service.api.routes import sweeps
from service.errors import LedgerAwayError
from service.ledger import queue
from service.spec import json_schema

JSON = {"Content-Type": "application/json"}


def _problem(answer: Any, status: int, kind: str) -> dict[str, Any]:
    """What an answer says, which must be a problem of this status and kind."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:monosweep:{kind}"
    assert problem["status"] == status
    assert problem["title"] and problem["detail"]
    return problem


def _is_untouched(served: Any) -> bool:
    """Whether nothing was queued."""
    return not served.ledger.names() and not queue.entries(served.ledger.engine)


BODIES = [
    (b'{"spec": ', 422, "request-invalid"),
    (b'{"spec": "\xff"}', 400, "request-unreadable"),
    (b"[" * 100_000, 400, "request-unreadable"),
    (b"[]", 422, "request-invalid"),
    (b"{}", 422, "request-invalid"),
    (b'{"spec": 7}', 422, "request-invalid"),
    (b'{"spec": "name: a", "path": "/etc/passwd"}', 422, "request-invalid"),
    (b'{"spec": "name: a", "priority": "9"}', 422, "request-invalid"),
    (b'{"spec": "name: a", "priority": 101}', 422, "request-invalid"),
    (b'{"spec": "name: a", "priority": NaN}', 422, "request-invalid"),
    (b'{"spec": "name: a", "name": "../x"}', 422, "request-invalid"),
    (b'{"spec": ""}', 422, "spec-invalid"),
    (b'{"spec": "quickstart"}', 422, "spec-invalid"),
    (b'{"spec": "/etc/passwd"}', 422, "spec-invalid"),
    (b'{"spec": "https://example.org/sweep.yaml"}', 422, "spec-invalid"),
    (b'{"spec": "a: !!python/object/apply:os.system [id]"}', 422, "spec-invalid"),
]


def test_a_body_that_is_no_submission(served: Any) -> None:
    for body, status, kind in BODIES:
        answer = served.post("/v1/sweeps", content=body, headers=JSON)
        problem = _problem(answer, status, kind)
        assert "Traceback" not in problem["detail"]
    assert _is_untouched(served)
    assert served.woken == []


def test_mistakes_of_a_sweep_file_are_told_with_their_lines(served: Any, tiny_text: str) -> None:
    text = tiny_text.replace("num_features: 64", "num_features: many").replace("lamb", "lomb")
    text = text.replace("num_trials: 4", "num_trails: 4")
    problem = _problem(served.submit(text), 422, "spec-invalid")
    assert [(one["path"], one["line"]) for one in problem["problems"]] == [
        ("task.num_features", 2),
        ("search.num_trials", 8),
        ("search.num_trails", 8),
    ]
    assert "Did you mean num_trials?" in problem["problems"][2]["message"]
    assert _is_untouched(served)


def test_a_body_that_is_too_large_is_never_read(served: Any) -> None:
    most = served.app.state.backing.limits.body_bytes
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 100 * most:
            sent += 1024
            yield b" " * 1024

    said = served.post("/v1/sweeps", content=b"{" * (most + 1), headers=JSON)
    problem = _problem(said, 413, "body-too-large")
    assert f"{most:,} bytes" in problem["detail"]
    _problem(served.post("/v1/sweeps", content=endless(), headers=JSON), 413, "body-too-large")
    # Who may not submit is told that, whatever is sent.
    _problem(served.post("/v1/sweeps", "vera", content=b"{" * (most + 1)), 403, "forbidden")
    assert _is_untouched(served)


def test_what_is_not_there(served: Any) -> None:
    calls = [("GET", ""), ("GET", "/best"), ("GET", "/spec"), ("GET", "/trials"), ("GET", "/logs")]
    calls += [("GET", "/events"), ("GET", "/report"), ("GET", "/export/trials")]
    calls += [("POST", "/stop"), ("POST", "/resume"), ("DELETE", "?confirm=gone")]
    for method, path in calls:
        problem = _problem(served.call(method, f"/v1/sweeps/gone{path}"), 404, "sweep-not-found")
        assert "'gone'" in problem["detail"]
    extended = served.post("/v1/sweeps/gone/extend", json={"num_trials": 9})
    _problem(extended, 404, "sweep-not-found")
    for name in ("..", "%2e%2e%2fx", "a%00b", "-rf", "x" * 65):
        assert served.get(f"/v1/sweeps/{name}/spec").status_code == 404
    _problem(served.get("/v1/sweeps/tiny/export/passwords"), 404, "sweep-not-found")
    _problem(served.get("/v2/sweeps"), 404, "not-found")
    _problem(served.call("PUT", "/v1/sweeps"), 405, "method-not-allowed")


def test_a_name_that_is_in_use(served: Any, tiny_text: str) -> None:
    assert served.submit(tiny_text).status_code == 201
    problem = _problem(served.submit(tiny_text, "ben"), 409, "sweep-exists")
    assert "'tiny'" in problem["detail"]
    assert queue.entry(served.ledger.engine, "tiny").owner == "ann"
    assert len(served.woken) == 1


def test_a_server_that_is_full(serve: Any, home: Any, tiny_text: str) -> None:
    with serve(home, Limits(unfinished=2)) as served:
        key = {"Idempotency-Key": "one"}
        body = {"spec": tiny_text, "name": "a"}
        assert served.post("/v1/sweeps", json=body, headers=key).status_code == 201
        assert served.submit(tiny_text, name="b").status_code == 201
        full = served.submit(tiny_text, name="c")
        problem = _problem(full, 503, "server-full")
        assert "at most 2 unfinished" in problem["detail"]
        assert int(full.headers["Retry-After"]) > 0
        assert served.ledger.names() == ["a", "b"]
        # What was taken before needs no room.
        assert served.post("/v1/sweeps", json=body, headers=key).status_code == 200
        assert served.post("/v1/sweeps/b/stop").status_code == 202
        assert served.submit(tiny_text, name="c").status_code == 201
        _problem(served.post("/v1/sweeps/b/resume"), 503, "server-full")
        # Nor does one that was given up: there is nothing of it to be stopped.
        engine = served.ledger.engine
        given_up = queue.entry(engine, "c")
        assert queue.record_start(engine, given_up, "job")
        seen = queue.entry(engine, "c")
        assert queue.record_failure(engine, seen, "it cannot be.", float("inf"))
        assert served.submit(tiny_text, name="d").status_code == 201


def test_a_ledger_that_is_away(
    served: Any, tiny_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.submit(tiny_text)

    def away(*_: Any, **__: Any) -> None:
        raise LedgerAwayError("no answer from postgresql://me:hunter2@10.1.2.3/ledger")

    served.app.state.backing.board.forget("tiny")
    with monkeypatch.context() as patched:
        patched.setattr("service.ledger.tokens.caller", away)
        answer = served.get("/v1/sweeps")
        problem = _problem(answer, 503, "ledger-away")
        assert "hunter2" not in answer.text and "10.1.2.3" not in answer.text
        assert problem["detail"].startswith("The ledger does not answer now.")
        assert int(answer.headers["Retry-After"]) > 0
        assert served.get("/v1/health", None).json() == {"status": "ok"}
    with monkeypatch.context() as patched:
        patched.setattr(queue, "submit", away)
        _problem(served.submit(tiny_text, name="other"), 503, "ledger-away")
    assert served.ledger.names() == ["tiny"]
    assert served.get("/v1/sweeps").status_code == 200


def test_what_nobody_foresaw_tells_nothing_of_the_inside(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("/root/secret at line 7")

    monkeypatch.setattr(sweeps.submitting, "spec_of", fails)
    answer = served.submit("name: a")
    problem = _problem(answer, 500, "internal")
    assert "secret" not in answer.text and problem["problems"] == []
    assert [(one.action, one.status) for one in served.deeds] == [("submit", 500)]


def test_an_idempotency_key_that_is_none(served: Any, tiny_text: str) -> None:
    for key in ("", "x" * 129, "two words"):
        answer = served.post(
            "/v1/sweeps", json={"spec": tiny_text}, headers={"Idempotency-Key": key}
        )
        _problem(answer, 422, "request-invalid")
    assert _is_untouched(served)


def test_queries_that_are_none(served: Any, tiny_text: str) -> None:
    served.submit(tiny_text)
    for query in ("limit=0", "limit=201", "limit=x", "stage=asleep", "after=tiny"):
        _problem(served.get(f"/v1/sweeps?{query}"), 422, "request-invalid")
    for query in ("phase=dream", "state=lost", "after=7", "after=search/x"):
        _problem(served.get(f"/v1/sweeps/tiny/trials?{query}"), 422, "request-invalid")
    _problem(served.get("/v1/sweeps/tiny/logs?lines=0"), 422, "request-invalid")


def test_no_word_of_a_sweep_file_can_name_a_file_or_a_place() -> None:
    # Every text that it may hold is one of a list, or a simple word; but for the values of points
    # and of conditions, of which the next test is.
    texts = dict(_texts("", json_schema()))
    assert len(texts) > 20
    free = [path for path, schema in texts.items() if not {"enum", "const"} & set(schema)]
    words = [path for path in free if "pattern" in texts[path]]
    assert {texts[path]["pattern"] for path in words} == {r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"}
    assert all("/when/" in path or "/enqueue/" in path for path in set(free) - set(words))


def test_what_points_and_conditions_say_must_be_of_the_search_space(
    served: Any, tiny_text: str
) -> None:
    place = "/etc/passwd"
    for old, new in (
        ("num_trials: 4", f"num_trials: 4, enqueue: [{{initial_bias: {place}}}]"),
        (
            "search_space: bias_and_width",
            "search_space: {nonlinearity: {choice: [relu, gelu]}, "
            f"l1: {{float: [0.0, 0.1], when: {{nonlinearity: {place}}}}}}}",
        ),
    ):
        problem = _problem(served.submit(tiny_text.replace(old, new)), 422, "spec-invalid")
        assert place in problem["detail"]


def test_a_warm_start_names_sweeps_of_the_ledger_only(served: Any, tiny_text: str) -> None:
    for name, kind in (("/etc/passwd", "spec-invalid"), ("nobody", "request-invalid")):
        text = tiny_text.replace("num_trials: 4", f"num_trials: 4, warm_start: ['{name}']")
        _problem(served.submit(text), 422, kind)
    assert _is_untouched(served)


def _texts(path: str, schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of a text in a schema, and where it is."""
    if isinstance(schema, list):
        for number, one in enumerate(schema):
            yield from _texts(f"{path}/{number}", one)
    if isinstance(schema, dict):
        if schema.get("type") == "string":
            yield path, schema
        for key, one in schema.items():
            if key not in ("examples", "default", "description"):
                yield from _texts(f"{path}/{key}", one)


def test_limits_of_size(serve: Any, home: Any, tiny_text: str) -> None:
    # 2 baseline networks, 4 trials, 2 seeds of the baseline, a finalist and one at its width.
    networks = 2 + 4 + 3 * 2
    generous = Limits(trials=4, training_steps=networks * 256, features=64, neurons=128)
    for tight, key in (
        (replace(generous, trials=3), "search.num_trials"),
        (replace(generous, training_steps=networks * 256 - 1), "training.num_steps"),
        (replace(generous, features=63), "task.num_features"),
        (replace(generous, neurons=127), "num_neurons"),
        (replace(generous, batch_size=31), "training.batch_size"),
    ):
        with serve(replace(home, ledger_url=f"{home.ledger_url}.{key}"), tight) as served:
            problem = _problem(served.submit(tiny_text), 422, "spec-invalid")
            assert key in problem["detail"] and "MONOSWEEP_LIMITS" in problem["detail"]
            assert _is_untouched(served)
    with serve(home, generous) as served:
        assert served.submit(tiny_text).status_code == 201
        extended = served.post("/v1/sweeps/tiny/extend", json={"num_trials": 5})
        _problem(extended, 422, "request-invalid")


def test_a_caller_who_asks_too_often(serve: Any, home: Any) -> None:
    with serve(home, Limits(calls_per_s=1, calls_at_once=3)) as served:
        for _ in range(3):
            assert served.get("/v1/whoami").status_code == 200
        answer = served.get("/v1/whoami")
        _problem(answer, 429, "too-many-calls")
        assert answer.headers["Retry-After"] == "1"
        # Others are not kept waiting, and who shows no token has a bucket of its own.
        assert served.get("/v1/whoami", "ben").status_code == 200
        found = [served.get("/v1/whoami", None).status_code for _ in range(5)]
        assert found == [401, 401, 401, 429, 429]
        assert served.get("/v1/health", None).status_code == 200
        # What was refused so is not in the audit, which it would fill.
        assert [one.status for one in served.deeds] == [401, 401, 401]
