"""Stopping, resuming, extending and deleting, wherever a sweep stands."""

from contextlib import contextmanager
from typing import Any

import pytest

from service import deletion
from service.dispatch.jobs import JobState
from service.errors import TrackingAwayError
from service.ledger import Lease, queue, release, take
from service.ledger.sweep_row import NewSweep
from service.spec import parse_spec


@pytest.fixture(autouse=True)
def no_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow takes seconds to import; what deleting does is tested where it is."""
    monkeypatch.setattr("service.tracking.check_answers", lambda _uri: None)
    monkeypatch.setattr("service.tracking.remove", lambda _uri, _name: None)


@contextmanager
def _driver(served: Any, name: str = "tiny") -> Any:
    """A driver that holds the sweep's lease."""
    lease: Lease = take(served.ledger.engine, name)
    served.app.state.backing.board.forget(name)
    try:
        yield
    finally:
        release(served.ledger.engine, lease)
        served.app.state.backing.board.forget(name)


def _stage(served: Any, name: str = "tiny") -> str:
    served.app.state.backing.board.forget(name)
    return served.get(f"/v1/sweeps/{name}").json()["stage"]


def _start(served: Any, job_id: str = "job-1") -> None:
    """As the reconciler does."""
    engine = served.ledger.engine
    assert queue.record_start(engine, queue.entry(engine, "tiny"), job_id)


def _finish(served: Any) -> None:
    from service.ledger import Writer

    lease = take(served.ledger.engine, "tiny")
    writer = Writer(served.ledger, lease)
    writer.finish({"sentence": "No winner.", "name": "tiny"})
    writer.close()
    release(served.ledger.engine, lease)


def _told(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:monosweep:")


def test_a_sweep_is_stopped_and_resumed_by_its_owner(served: Any, tiny_text: str) -> None:
    served.submit(tiny_text)
    stopped = served.post("/v1/sweeps/tiny/stop")
    assert (stopped.status_code, stopped.json()["stage"]) == (202, "stopped")
    # Stopped twice is stopped.
    assert served.post("/v1/sweeps/tiny/stop").status_code == 202
    resumed = served.post("/v1/sweeps/tiny/resume")
    assert (resumed.status_code, resumed.json()["stage"]) == (202, "queued")
    assert len(served.woken) == 4
    # Resumed where it waits for its turn already, it keeps its place.
    before = queue.entry(served.ledger.engine, "tiny")
    assert served.post("/v1/sweeps/tiny/resume").status_code == 202
    assert queue.entry(served.ledger.engine, "tiny") == before


def test_an_admin_resumes_what_stays_its_owners(served: Any, tiny_text: str) -> None:
    served.submit(tiny_text)
    served.post("/v1/sweeps/tiny/stop", "root")
    assert served.post("/v1/sweeps/tiny/resume", "root").json()["owner"] == "ann"


def test_where_a_sweep_stands_is_told_by_ledger_and_cluster(served: Any, tiny_text: str) -> None:
    served.submit(tiny_text)
    assert _stage(served) == "queued"
    _start(served)
    served.jobs.states["job-1"] = JobState("pending", None, None)
    assert _stage(served) == "starting"
    with _driver(served):
        assert _stage(served) == "running"
        assert served.post("/v1/sweeps/tiny/stop").json()["stage"] == "stopping"
        assert _told(served.call("DELETE", "/v1/sweeps/tiny?confirm=tiny")) == (409, "conflict")
    served.jobs.states["job-1"] = JobState("ended", 75, None)
    assert _stage(served) == "stopped"
    asked = served.jobs.num_asked
    assert _stage(served) == "stopped"
    assert served.jobs.num_asked == asked  # what has ended is not asked for again
    served.jobs.is_away = True
    assert _stage(served) == "stopped"


def test_a_pause_after_a_failure_is_ended_by_resuming(served: Any, tiny_text: str) -> None:
    served.submit(tiny_text)
    _start(served)
    served.jobs.states["job-1"] = JobState("ended", 1, "boom")
    engine = served.ledger.engine
    queue.record_failure(engine, queue.entry(engine, "tiny"), "it ended: boom", 1000.0)
    assert _stage(served) == "waiting"
    assert served.get("/v1/sweeps/tiny").json()["problem"] == "it ended: boom"
    assert served.post("/v1/sweeps/tiny/resume").json()["stage"] == "queued"


def test_an_extension_is_kept_until_a_driver_takes_it(served: Any, tiny_text: str) -> None:
    served.submit(tiny_text)
    extended = served.post("/v1/sweeps/tiny/extend", json={"num_trials": 9})
    assert (extended.status_code, extended.json()["num_trials_wanted"]) == (202, 9)
    for less in (4, 3):
        shorter = served.post("/v1/sweeps/tiny/extend", json={"num_trials": less})
        assert _told(shorter) == (422, "request-invalid")
        assert "present budget of 9" in shorter.json()["detail"]
    for wrong in (0, "9", 9.5, None):
        answer = served.post("/v1/sweeps/tiny/extend", json={"num_trials": wrong})
        assert answer.status_code == 422
    assert queue.entry(served.ledger.engine, "tiny").num_trials == 9


def test_a_finished_sweep_can_be_extended_but_not_stopped_or_resumed(
    served: Any, tiny_text: str
) -> None:
    served.submit(tiny_text)
    _finish(served)
    assert _stage(served) == "finished"
    assert _told(served.post("/v1/sweeps/tiny/stop")) == (409, "conflict")
    again = served.post("/v1/sweeps/tiny/resume")
    assert _told(again) == (409, "conflict")
    assert "/v1/sweeps/tiny/extend" in again.json()["detail"]
    assert served.post("/v1/sweeps/tiny/extend", json={"num_trials": 9}).json()["stage"] == "queued"


def test_a_grid_is_extended_to_its_points_only(served: Any, tiny_text: str) -> None:
    space = "search_space: {initial_bias: {float: [-1.0, 0.0], points: 5}}"
    text = tiny_text.replace("search_space: bias_and_width", space)
    text = text.replace("num_trials: 4", "num_trials: 4, sampler: grid")
    assert served.submit(text).status_code == 201
    beyond = served.post("/v1/sweeps/tiny/extend", json={"num_trials": 6})
    assert _told(beyond) == (422, "request-invalid")
    assert "points of the grid" in beyond.json()["detail"]
    assert served.post("/v1/sweeps/tiny/extend", json={"num_trials": 5}).status_code == 202


def test_a_deletion_must_be_confirmed_by_name(served: Any, tiny_text: str) -> None:
    served.submit(tiny_text)
    for query in ("", "?confirm=", "?confirm=other", "?confirm=TINY"):
        assert served.call("DELETE", f"/v1/sweeps/tiny{query}").status_code == 422
    assert _stage(served) == "queued"
    assert served.call("DELETE", "/v1/sweeps/tiny?confirm=tiny").status_code == 204
    assert served.ledger.names() == []
    assert served.get("/v1/sweeps/tiny").status_code == 404
    assert served.get("/v1/sweeps").json() == {"sweeps": [], "next": None}
    # The name is free again.
    assert served.submit(tiny_text).status_code == 201


def test_a_deletion_that_mlflow_holds_up_deletes_nothing(
    served: Any, tiny_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise TrackingAwayError("no answer from http://me:hunter2@mlflow:5000")

    monkeypatch.setattr("service.tracking.check_answers", away)
    served.submit(tiny_text)
    answer = served.call("DELETE", "/v1/sweeps/tiny?confirm=tiny")
    assert _told(answer) == (503, "mlflow-away")
    assert "hunter2" not in answer.text
    # Nothing was half done: it waits for its turn as before.
    assert _stage(served) == "queued"


def test_a_deletion_that_a_driver_is_quicker_than_leaves_it_at_work(
    served: Any, tiny_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.submit(tiny_text)
    check, engine = deletion.check_lies_here, served.ledger.engine
    leases: list[Lease] = []

    def begun_meanwhile(*given: Any) -> None:
        leases.append(take(engine, "tiny"))
        check(*given)

    monkeypatch.setattr(deletion, "check_lies_here", begun_meanwhile)
    answer = served.call("DELETE", "/v1/sweeps/tiny?confirm=tiny")
    assert _told(answer) == (409, "sweep-at-work")
    assert _stage(served) == "running"
    release(engine, leases[0])


def test_a_sweep_that_is_being_deleted_is_only_deleted(
    served: Any, tiny_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise TrackingAwayError("away")

    served.submit(tiny_text)
    with monkeypatch.context() as patched:
        patched.setattr(deletion.Writer, "erase", fails)
        assert served.call("DELETE", "/v1/sweeps/tiny?confirm=tiny").status_code == 503
    assert _stage(served) == "deleting"
    for call in ("stop", "resume"):
        assert served.post(f"/v1/sweeps/tiny/{call}").status_code == 409
    extended = served.post("/v1/sweeps/tiny/extend", json={"num_trials": 9})
    assert _told(extended) == (409, "sweep-deleting")
    assert _told(served.get("/v1/sweeps/tiny/trials")) == (409, "sweep-deleting")
    assert served.call("DELETE", "/v1/sweeps/tiny?confirm=tiny").status_code == 204


def test_a_sweep_of_nobodys_is_an_admins(served: Any, tiny_text: str) -> None:
    spec = parse_spec(tiny_text, origin="test")
    settings = spec.settings()
    new = NewSweep(name="tiny", spec_text=tiny_text, settings=settings, versions={}, num_trials=4)
    served.ledger.create_sweep(**vars(new))
    found = served.get("/v1/sweeps/tiny").json()
    assert (found["stage"], found["owner"], found["priority"]) == ("unmanaged", None, None)
    assert served.post("/v1/sweeps/tiny/resume").status_code == 403
    assert _told(served.post("/v1/sweeps/tiny/stop", "root")) == (409, "conflict")
    with _driver(served):
        assert _told(served.post("/v1/sweeps/tiny/resume", "root")) == (409, "conflict")
        assert _told(served.call("DELETE", "/v1/sweeps/tiny?confirm=tiny", "root")) == (
            409,
            "sweep-at-work",
        )
    assert served.post("/v1/sweeps/tiny/resume", "root").json()["owner"] == "root"


def test_an_extension_that_waits_is_not_shortened(served: Any, tiny_text: str) -> None:
    served.submit(tiny_text)
    assert served.post("/v1/sweeps/tiny/extend", json={"num_trials": 54}).status_code == 202
    shorter = served.post("/v1/sweeps/tiny/extend", json={"num_trials": 53})
    assert shorter.status_code == 422
    assert "above the present budget of 54, found 53" in shorter.json()["detail"]
    # Sent again, it is the same one.
    again = served.post("/v1/sweeps/tiny/extend", json={"num_trials": 54})
    assert (again.status_code, again.json()["num_trials_wanted"]) == (202, 54)
