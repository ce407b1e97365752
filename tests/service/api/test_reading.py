"""What is read of a finished sweep: the same numbers as from the ledger itself."""

import io
import math
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.api.app import create_app
from service.api.limits import Limits
from service.home import Home
from service.ledger import Ledger
from service.recorded import verdict_of


@pytest.fixture(scope="module")
def client(finished_home: Home, new_client: Any) -> Iterator[Any]:
    """Asks an app over the finished sweep; no token is needed."""
    with closing(Ledger(finished_home.ledger_url)) as ledger:
        app = create_app(
            ledger,
            finished_home,
            jobs=None,
            wake=lambda: None,
            limits=Limits(),
            needs_token=False,
        )
        with new_client(app) as found:
            yield found


def test_the_verdict_is_the_recorded_one(client: Any, finished_home: Home) -> None:
    with closing(Ledger(finished_home.ledger_url)) as ledger:
        assert client.get("/v1/sweeps/drawn/best").json() == verdict_of(ledger.sweep("drawn"))


def test_trials_are_read_page_by_page(client: Any, finished_home: Home) -> None:
    seen: list[Any] = []
    after = None
    while True:
        query = {"limit": 17, **({"after": after} if after else {})}
        page = client.get("/v1/sweeps/drawn/trials", params=query).json()
        seen += page["trials"]
        after = page["next"]
        if after is None:
            break
    with closing(Ledger(finished_home.ledger_url)) as ledger:
        known = ledger.trials("drawn")
    assert [one["trial_id"] for one in seen] == [trial.trial_id for trial in known]
    for one, trial in zip(seen, known, strict=True):
        assert one["state"] == trial.state
        assert one["settings"] == dict(trial.settings)
        if trial.result is not None:
            assert one["metrics"] == dict(trial.result.metrics)
            assert one["loss_ratio"] == trial.result.loss_ratio
            assert one["reason"] == trial.result.reason


def test_trials_of_one_phase_or_state(client: Any) -> None:
    search = client.get("/v1/sweeps/drawn/trials?phase=search&limit=1000").json()["trials"]
    assert len(search) == 40
    pruned = client.get("/v1/sweeps/drawn/trials?state=pruned&limit=1000").json()
    # Of the 40 trials 5 were stopped and 1 failed.
    assert len(pruned["trials"]) == 5
    assert {one["feasible"] for one in pruned["trials"]} <= {False, None}
    failed = client.get("/v1/sweeps/drawn/trials?phase=search&state=failed").json()
    assert len(failed["trials"]) == 1
    assert failed["trials"][0]["reason"]


def test_a_number_that_is_none_is_null(make_trial: Any) -> None:
    from service.api.routes import trials

    trial = make_trial("search", 0, loss=math.nan, loss_ratio=math.inf)
    infeasible = type("Nothing", (), {"is_feasible": staticmethod(lambda *_: False)})()
    found = trials._answer(trial, infeasible)
    assert (found.metrics["loss"], found.loss_ratio) == (None, None)
    assert '"loss":null' in found.model_dump_json()


def test_tables_are_those_of_the_command(client: Any, finished: Any) -> None:
    answer = client.get("/v1/sweeps/drawn/export/trials")
    assert answer.headers["Content-Type"] == "application/vnd.apache.parquet"
    assert pq.read_table(io.BytesIO(answer.content)).equals(finished.trials)


def test_the_report_is_a_page(served: Any, tiny_text: str) -> None:
    served.submit(tiny_text)
    answer = served.get("/v1/sweeps/tiny/report")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.text.startswith("<!DOCTYPE html>")
    assert answer.text.rstrip().endswith("</html>")
    # Made elsewhere, for this caller only.
    assert not served.home.report("tiny").exists()


def test_a_table_that_cannot_be_made_tells_nothing_of_the_inside(
    served: Any, tiny_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.submit(tiny_text)
    monkeypatch.setattr("service.api.making.sys.executable", "/bin/false")
    answer = served.get("/v1/sweeps/tiny/export/trials")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:monosweep:not-made")
    assert not list(Path(tempfile.gettempdir()).glob("monosweep-*/*.parquet"))


def test_what_is_finished_ends_its_stream_at_once(client: Any) -> None:
    answer = client.get("/v1/sweeps/drawn/events")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    events = answer.text.strip().split("\n\n")
    assert [event.split("\n")[0] for event in events] == ["event: status", "event: end"]


def test_what_prometheus_reads(client: Any) -> None:
    client.get("/v1/sweeps/drawn/best")
    client.get("/v1/sweeps/none/best")
    families = {
        family.name: family
        for family in text_string_to_metric_families(client.get("/v1/metrics").text)
    }
    stages = {one.labels["stage"]: one.value for one in families["monosweep_sweeps"].samples}
    assert sum(stages.values()) == 1
    assert len(stages) == 10
    requests = {
        (one.labels["route"], one.labels["status"]): one.value
        for one in families["monosweep_http_requests"].samples
        if one.name.endswith("_total")
    }
    assert requests["/v1/sweeps/{name}/best", "200"] >= 1
    assert requests["/v1/sweeps/{name}/best", "404"] == 1
    # Names that callers think of never become labels.
    assert not [route for route, _ in requests if "drawn" in route]
    assert {"monosweep_drivers_started", "monosweep_reconciler_passes"} <= set(families)


def test_without_a_cluster_there_are_no_logs(client: Any) -> None:
    assert client.get("/v1/sweeps/drawn/logs").text == ""
    ready = client.get("/v1/ready")
    parts = ready.json()["parts"]
    assert (ready.status_code, parts["cluster"]["ready"]) == (503, False)
    assert parts["ledger"]["ready"] and parts["storage"]["ready"] and parts["mlflow"]["ready"]
