"""MLflow itself, on one SQLite store for all of these tests, a sweep for each."""

import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from service.home import Home
from service.ledger import Ledger, Writer, release, take
from service.showcase import Showcase
from service.spec import load_spec
from service.storage import Storage, as_parquet
from service.sweep import resume
from service.tracking import Facts, Projection, Tracking, backlog
from service.tracking.runs import SUMMARY_TAG, TRIAL_TAG
from service.trials import Point, Trial

MakeTrial = Callable[..., Trial]

# Port 9 is "discard", which nobody serves: refused at once.
DEAD = "http://127.0.0.1:9"
CURVES = pa.table(
    {
        "trial_id": ["search/0"] * 4,
        "replicate": [0, 0, 1, 1],
        "seed": [5, 5, 6, 6],
        "step": [1, 2, 1, 2],
        "loss": [4.0, 2.0, 6.0, 3.0],
        "num_dead": [1, 2, 3, 4],
    }
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tracking")


@pytest.fixture(scope="module")
def uri(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


@pytest.fixture(scope="module")
def client(uri: str) -> MlflowClient:
    return MlflowClient(uri)


@pytest.fixture(scope="module")
def ledger(folder: Path) -> Iterator[Ledger]:
    with closing(Ledger(f"sqlite:///{folder / 'ledger.db'}")) as ledger:
        yield ledger


@pytest.fixture
def sweep(request: pytest.FixtureRequest) -> str:
    """A sweep of the test's own."""
    return str(request.node.name)[:60].replace("[", "-").rstrip("]")


@pytest.fixture
def projection(
    uri: str, folder: Path, sweep: str, make_facts: Callable[..., Facts]
) -> Callable[..., Projection]:
    """What each driver makes anew."""

    def make(at: str = uri) -> Projection:
        facts = make_facts(sweep, ("loss_margin: 0.5", "loss_margin: 0.02"))
        return Projection(at, folder / "artifacts", facts)

    return make


@pytest.fixture
def runs(client: MlflowClient, sweep: str) -> Callable[[], dict[str, Run]]:
    """The sweep's live runs by trial id, the summary's under its own name; none twice."""

    def find() -> dict[str, Run]:
        experiment = client.get_experiment_by_name(f"monosweep/{sweep}")
        if experiment is None:
            return {}
        found = client.search_runs([experiment.experiment_id])
        by_trial = {run.data.tags.get("monosweep.trial", "summary"): run for run in found}
        assert len(by_trial) == len(found)
        return by_trial

    return find


@pytest.fixture
def searched(make_trial: MakeTrial) -> Trial:
    """Two replicates, whose curves are ``CURVES``."""
    return make_trial(
        "search",
        0,
        seeds=(5, 6),
        settings={"initial_bias": -0.5},
        loss_ratio=0.9,
        loss=2.5,
        monosemantic_per_feature=0.5,
    )


def points(client: MlflowClient, run: Run, name: str) -> list[tuple[int, float]]:
    return [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]


def test_a_complete_trial_is_a_run_with_params_tags_and_curves(
    client: MlflowClient, projection: Any, runs: Any, searched: Trial, sweep: str
) -> None:
    run_id = projection().project_trial(searched, CURVES)
    run = runs()["search/0"]
    assert (run.info.run_id, run.info.status) == (run_id, "FINISHED")
    assert run.info.run_name == "search/0: bias -0.5 decay 0 k 64"
    assert run.data.params == {
        "num_neurons": "64",
        "nonlinearity": "relu",
        "learning_rate": "0.02",
        "initial_bias": "-0.5",
        "bias_decay": "0.0",
        "l1": "0.0",
        "seeds": "5 6",
        "task.kind": "feature_decoder",
        "task.num_features": "64",
        "task.num_inputs": "16",
        "task.feature_density": "0.03125",
        "task.feature_distribution": "uniform",
        "training.num_steps": "256",
        "training.batch_size": "32",
        "training.optimizer": "lamb",
        "training.schedule": "cycling_cosine",
        "training.precision": "float32",
        "training.device": "cpu",
    }
    tags = {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")}
    assert tags == {
        "monosweep.trial": "search/0",
        "sweep": sweep,
        "phase": "search",
        "state": "complete",
        "feasible": "true",
        "cohort": "search-0",
        "seeds": "5 6",
        "device": "cpu",
        "precision": "float32",
        "version.torch": "2.13",
        "version.monosweep": "0.2",
    }
    assert "mlflow.parentRunId" not in run.data.tags
    # Means over the two replicates: (4 + 6) / 2 and (2 + 3) / 2; (1 + 3) / 2 and (2 + 4) / 2.
    assert points(client, run, "loss") == [(1, 5.0), (2, 2.5)]
    assert points(client, run, "num_dead") == [(1, 2.0), (2, 3.0)]
    assert run.data.metrics == {
        "loss": 2.5,
        "num_dead": 3.0,
        "loss_ratio": 0.9,
        "train_s": 1.0,
        "param.initial_bias": -0.5,
        "param.bias_decay": 0.0,
        "param.num_neurons": 64.0,
    }


def test_a_failed_trial_is_a_failed_run_with_its_reason(
    projection: Any, runs: Any, make_trial: MakeTrial
) -> None:
    trial = make_trial("search", 3, state="failed", reason="diverged: loss 99 at step 64")
    projection().project_trial(trial, CURVES.slice(0, 0))
    run = runs()["search/3"]
    assert run.info.status == "FAILED"
    assert run.data.tags["state"] == "failed"
    assert run.data.tags["reason"] == "diverged: loss 99 at step 64"
    assert run.data.tags["feasible"] == "false"
    assert "loss_ratio" not in run.data.metrics


def test_a_trial_that_was_stopped_early_is_a_finished_run_that_says_so(
    projection: Any, runs: Any, make_trial: MakeTrial
) -> None:
    reason = "stopped at step 2: rank 4 of 4 (loss ratio 1.31)"
    trial = make_trial("search", 3, state="pruned", reason=reason)
    assert trial.result is not None
    trial = replace(trial, result=replace(trial.result, num_steps=2))
    projection().project_trial(trial, CURVES)
    run = runs()["search/3"]
    assert run.info.status == "FINISHED"
    tags = {name: run.data.tags[name] for name in ("state", "reason", "feasible")}
    assert tags == {"state": "pruned", "reason": reason, "feasible": "false"}
    # Its curve until then, but nothing that a filter for good runs would find.
    assert "loss" in run.data.metrics
    assert "loss_ratio" not in run.data.metrics


def test_trials_of_confirmation_have_a_role_and_are_neither_feasible_nor_not(
    projection: Any, runs: Any, make_trial: MakeTrial
) -> None:
    trial = make_trial("confirmation", 1, role="search/3 at 64", loss=1.0)
    projection().project_trial(replace(trial, varied=()), None)
    run = runs()["confirmation/1"]
    assert run.data.tags["role"] == "search/3 at 64"
    assert "feasible" not in run.data.tags
    assert run.info.run_name == "confirmation/1 search/3 at 64: seed 0 lr 0.02 k 64"


def test_projecting_twice_leaves_one_run_and_each_point_once(
    client: MlflowClient, projection: Any, runs: Any, searched: Trial
) -> None:
    first = projection().project_trial(searched, CURVES)
    before = runs()["search/0"]
    assert projection().project_trial(searched, CURVES) == first
    after = runs()["search/0"]
    assert (after.data.params, after.data.metrics) == (before.data.params, before.data.metrics)
    assert after.data.tags == before.data.tags
    for name in after.data.metrics:
        assert points(client, after, name) == points(client, before, name)
        assert len(points(client, after, name)) == (2 if name in ("loss", "num_dead") else 1)


def test_a_run_cut_short_is_completed(
    client: MlflowClient, projection: Any, runs: Any, searched: Trial
) -> None:
    """As a driver leaves it that was killed between two calls."""
    one = projection()
    started = client.create_run(one.experiment_id, tags={"monosweep.trial": "search/0"})
    client.log_metric(started.info.run_id, "loss", 5.0, started.info.start_time, 1)
    assert projection().project_trial(searched, CURVES) == started.info.run_id
    run = runs()["search/0"]
    assert points(client, run, "loss") == [(1, 5.0), (2, 2.5)]
    assert run.info.status == "FINISHED"


def test_a_run_that_was_made_and_not_heard_of_is_looked_for(
    client: MlflowClient,
    projection: Any,
    runs: Any,
    searched: Trial,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = projection()
    assert one.trial_ids() == set()  # it need look for none of its own
    create_run = MlflowClient.create_run

    def unheard(self: MlflowClient, *args: Any, **kwargs: Any) -> Run:
        create_run(self, *args, **kwargs)
        raise MlflowException("the connection was closed")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_run", unheard)
        with pytest.raises(MlflowException, match="closed"):
            one.project_trial(searched, CURVES)
    one.project_trial(searched, CURVES)
    assert points(client, runs()["search/0"], "loss") == [(1, 5.0), (2, 2.5)]


def test_curves_longer_than_a_call_are_projected_whole(
    client: MlflowClient, projection: Any, runs: Any, searched: Trial
) -> None:
    steps = list(range(1, 1501))
    curves = pa.table(
        {
            "trial_id": ["search/0"] * 1500,
            "replicate": [0] * 1500,
            "seed": [5] * 1500,
            "step": steps,
            "loss": [1.0 / step for step in steps],
        }
    )
    projection().project_trial(searched, curves)
    assert [step for step, _ in points(client, runs()["search/0"], "loss")] == steps


def test_a_deleted_run_is_made_anew(
    client: MlflowClient, projection: Any, runs: Any, searched: Trial
) -> None:
    first = projection().project_trial(searched, CURVES)
    client.delete_run(first)
    second = projection().project_trial(searched, CURVES)
    assert second != first
    assert points(client, runs()["search/0"], "loss") == [(1, 5.0), (2, 2.5)]


def test_a_deleted_experiment_is_restored_with_its_runs(
    client: MlflowClient, projection: Any, runs: Any, searched: Trial, make_trial: MakeTrial
) -> None:
    one = projection()
    first = one.project_trial(searched, CURVES)
    client.delete_experiment(one.experiment_id)
    projection().project_trial(make_trial("search", 1, loss=1.0), None)
    assert runs()["search/0"].info.run_id == first
    assert set(runs()) == {"search/0", "search/1"}


def test_an_experiment_deleted_while_the_driver_is_at_work_is_restored(
    client: MlflowClient, projection: Any, runs: Any, searched: Trial, make_trial: MakeTrial
) -> None:
    one = projection()
    one.project_trial(searched, CURVES)
    client.delete_experiment(one.experiment_id)
    with pytest.raises(MlflowException, match="must be in the 'active' state"):
        one.project_trial(make_trial("search", 1, loss=1.0), None)
    one.forget()
    one.project_trial(make_trial("search", 1, loss=1.0), None)
    assert set(runs()) == {"search/0", "search/1"}


VERDICT: dict[str, Any] = {
    "confirmed": True,
    "sentence": "search/0 wins.",
    "loss_margin": 0.02,
    "loss_ratio": {"mean": 0.99, "low": 0.98, "high": 1.0},
    "gain": None,
    "baseline": {"loss": {"mean": 2.0, "low": 1.0, "high": 3.0}, "num_neurons": 64},
    "winner": {"loss": {"mean": 1.5, "low": 1.0, "high": 2.0}, "trial": "search/0"},
}


def test_the_summary_runs_until_there_is_a_verdict(
    client: MlflowClient, projection: Any, runs: Any, folder: Path
) -> None:
    projection().project_summary("name: s\n", None, "RUNNING")
    open_run = runs()["summary"]
    assert (open_run.info.status, open_run.info.run_name) == ("RUNNING", "summary")
    assert "confirmed" not in open_run.data.tags
    for _ in range(2):
        projection().project_summary("name: s\n", VERDICT, "FINISHED")
    run = runs()["summary"]
    assert (run.info.run_id, run.info.status) == (open_run.info.run_id, "FINISHED")
    assert run.data.tags["confirmed"] == "true"
    assert run.data.tags["winner"] == "search/0"
    assert run.data.tags["mlflow.note.content"].splitlines()[0] == "search/0 wins."
    assert run.data.metrics == {
        "loss_margin": 0.02,
        "ceiling": 2.04,  # 2% above the baseline's
        "loss_ratio.mean": 0.99,
        "loss_ratio.low": 0.98,
        "loss_ratio.high": 1.0,
        "baseline.loss": 2.0,
        "winner.loss": 1.5,
    }
    text = client.download_artifacts(run.info.run_id, "sweep.yaml", str(folder))
    assert Path(text).read_text() == "name: s\n"


def test_the_summary_shows_the_front_of_several_objectives(projection: Any, runs: Any) -> None:
    rows = [
        {
            "trial": "search/0",
            "loss": {"mean": 1.5, "low": 1.25, "high": 1.75},
            "num_neurons": 64,
            "passes": True,
        },
        {"trial": "search/3", "num_neurons": 32, "passes": False},  # diverged on every fresh seed
    ]
    names = ("loss", "num_neurons")
    objectives = [{"name": name, "direction": "minimize"} for name in names]
    several = {**VERDICT, "loss_margin": None, "objectives": objectives, "front": rows}
    projection().project_summary("name: s\n", several, "FINISHED")
    run = runs()["summary"]
    assert run.data.tags["mlflow.note.content"].splitlines()[:6] == [
        "search/0 wins.",
        "",
        "|  | loss | num neurons | passes |",
        "| --- | --- | --- | --- |",
        "| search/0 | 1.5 ± 0.25 | 64 | true |",
        "| search/3 | - | 32 | false |",
    ]
    assert "loss_margin" not in run.data.metrics


# The watcher: a thread of its own, and the ledger's mark of what is done.


@pytest.fixture
def writer(ledger: Ledger, sweep: str) -> Iterator[Writer]:
    ledger.create_sweep(sweep, spec_text="", settings={}, versions={}, num_trials=2)
    lease = take(ledger.engine, sweep)
    with closing(Writer(ledger, lease)) as writer:
        writer.create_studies(["maximize"])
        yield writer
    release(ledger.engine, lease)


@pytest.fixture
def ended(writer: Writer, folder: Path, make_trial: MakeTrial) -> list[Trial]:
    """Two trials with results in the ledger and curves in the storage, and one that runs."""
    path = f"results/{writer.sweep}.parquet"
    other = CURVES.set_column(0, "trial_id", pa.array(["search/1"] * 4))
    other = other.set_column(4, "loss", pa.array([8.0, 4.0, 12.0, 6.0]))
    Storage(str(folder)).write_bytes(path, as_parquet(pa.concat_tables([CURVES, other])))
    for number in range(3):
        trial = make_trial("search", number, loss_ratio=1.0, loss=1.0, seeds=(5, 6))
        cohort_id = f"search-{number}"
        point = Point(settings=trial.settings, seeds=trial.seeds)
        writer.add_trials("search", number, [point], cohort_id)
        writer.begin_attempt(cohort_id)
        if number < 2:
            assert trial.result is not None
            writer.record_results(cohort_id, 1, [replace(trial.result, curves=path)])
    return writer.ledger.trials(writer.sweep)


@pytest.fixture
def watch(writer: Writer, folder: Path, uri: str, projection: Any) -> Callable[..., Tracking]:
    """A driver's watcher of the sweep, of MLflow at ``uri``."""
    return lambda at=uri: Tracking(lambda: projection(at), writer, str(folder), "name: s\n")


def marks(writer: Writer) -> list[str | None]:
    return [trial.mlflow_run_id for trial in writer.ledger.trials(writer.sweep)]


def test_what_ends_is_in_mlflow_and_marked_in_the_ledger_when_the_driver_leaves(
    client: MlflowClient,
    writer: Writer,
    ended: list[Trial],
    watch: Any,
    runs: Any,
) -> None:
    with watch() as watcher:
        for trial in ended[:2]:
            watcher.trial_ended(trial)
        watcher.finished(VERDICT)
    found = runs()
    assert set(found) == {"search/0", "search/1", "summary"}
    ids = [found[f"search/{number}"].info.run_id for number in range(2)]
    assert marks(writer) == [*ids, None]
    assert found["summary"].info.status == "FINISHED"
    # Each trial has its own rows of the cohort's curves.
    assert points(client, found["search/0"], "loss") == [(1, 5.0), (2, 2.5)]
    assert points(client, found["search/1"], "loss") == [(1, 10.0), (2, 5.0)]


def test_mlflow_is_left_alone_until_a_worker_is_at_work(
    writer: Writer, folder: Path, projection: Any, uri: str
) -> None:
    opened = threading.Event()

    def open_projection() -> Projection:
        opened.set()
        return projection(uri)  # type: ignore[no-any-return]

    with Tracking(open_projection, writer, str(folder), "name: s\n") as watcher:
        assert not opened.wait(0.3)
        watcher.cohort_progressed("search-0", 0)
        assert opened.wait(30.0)


def test_a_trial_that_was_not_trained_shows_the_curves_of_the_one_that_it_is_the_same_as(
    client: MlflowClient, ended: list[Trial], watch: Any, runs: Any
) -> None:
    reason = "the same point as search/0, whose result it has"
    same = replace(
        ended[1],
        same_as="search/0",
        result=replace(ended[1].result, reason=reason),  # type: ignore[type-var]
    )
    with watch() as watcher:
        watcher.trial_ended(same)
    run = runs()["search/1"]
    assert points(client, run, "loss") == [(1, 5.0), (2, 2.5)]
    assert (run.data.tags["same_as"], run.data.tags["reason"]) == ("search/0", reason)


def test_the_best_trial_stands_out_while_the_sweep_runs_and_the_winner_after_it(
    ended: list[Trial], watch: Any, runs: Any
) -> None:
    first, second, _ = ended
    assert first.result is not None
    assert second.result is not None
    values = {"loss": 1.0, "monosemantic_per_feature": 0.2}
    first = replace(first, result=replace(first.result, metrics=values))
    better = {**values, "monosemantic_per_feature": 0.4}
    second = replace(second, result=replace(second.result, metrics=better))
    with watch() as watcher:
        for trial in (first, second):
            watcher.trial_ended(trial)
    found = runs()
    assert "standing" not in found["search/0"].data.tags
    assert found["search/1"].data.tags["standing"] == "best so far"
    assert found["summary"].data.tags["best"] == "search/1"
    with watch() as watcher:
        watcher.fill_in([first, second])
        watcher.finished(VERDICT)
    found = runs()
    assert found["search/0"].info.run_name.startswith("search/0 winner: ")
    assert found["search/1"].info.run_name.startswith("search/1: ")
    assert "standing" not in found["search/1"].data.tags


def test_filling_in_makes_what_is_missing_and_leaves_the_rest(
    client: MlflowClient, writer: Writer, ended: list[Trial], watch: Any, runs: Any
) -> None:
    """Missing in the ledger's eyes, or thrown away in MLflow's pages: both are made again."""
    with watch() as watcher:
        for trial in ended[:2]:
            watcher.trial_ended(trial)
    before = runs()
    client.delete_run(before["search/1"].info.run_id)
    with watch() as watcher:
        watcher.fill_in(writer.ledger.trials(writer.sweep))
    after = runs()
    assert set(after) == {"search/0", "search/1", "summary"}
    assert after["search/0"].info.run_id == before["search/0"].info.run_id
    assert after["search/0"].info.end_time == before["search/0"].info.end_time
    assert marks(writer)[1] == after["search/1"].info.run_id != before["search/1"].info.run_id


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a dead server up at once."""
    monkeypatch.setattr(backlog, "PATIENCE_S", 0.5)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.mark.usefixtures("impatient")
def test_an_outage_holds_nothing_up_and_is_filled_in_later(
    writer: Writer,
    ended: list[Trial],
    watch: Any,
    runs: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    began = time.monotonic()
    with watch(DEAD) as watcher:
        for trial in ended[:2]:
            watcher.trial_ended(trial)
        assert time.monotonic() - began < 0.5  # the driver's own work is not waited for
        watcher.finished(VERDICT)
    assert time.monotonic() - began < 5  # and at the end only for as long as its patience
    assert marks(writer) == [None, None, None]
    assert runs() == {}
    assert f"monosweep resume {writer.sweep}" in caplog.text
    assert "MLflow does not take a run" in caplog.text
    with watch() as watcher:
        watcher.fill_in(writer.ledger.trials(writer.sweep))
        watcher.finished(VERDICT)
    found = runs()
    assert set(found) == {"search/0", "search/1", "summary"}
    assert None not in marks(writer)[:2]
    assert found["search/0"].data.metrics["loss"] == 2.5
    assert "monosweep resume" not in caplog.text.split("monosweep resume", 1)[1]


class Drawn(Showcase):
    """A page, and no networks.

    Args:
        drawing: Called while it draws.
        is_whole: Whether it has all that it should show.
    """

    def __init__(
        self, drawing: Callable[[], None] = lambda: None, *, is_whole: bool = True
    ) -> None:
        self._drawing = drawing
        self.is_whole = is_whole

    def write(self, folder: Path) -> None:
        self._drawing()
        (folder / "report.html").write_text("a page")

    def networks(self) -> Iterator[Any]:
        return iter(())


class HandSetClock:
    """The time as the driver reads it: however slow the machine, it passes only when told."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    def pass_by(self, seconds: float) -> None:
        """Time passes, and the driver has some to see it."""
        self._now += seconds
        time.sleep(0.5)


def shown(client: MlflowClient, summary: Run) -> set[str]:
    return {file.path for file in client.list_artifacts(summary.info.run_id)}


@pytest.mark.parametrize("is_whole", [True, False])
def test_to_draw_uses_up_no_patience(
    *,
    client: MlflowClient,
    writer: Writer,
    watch: Any,
    runs: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    is_whole: bool,
) -> None:
    clock, drawn = HandSetClock(), []
    monkeypatch.setattr(backlog, "time", clock)

    def take_long() -> None:
        clock.pass_by(3 * backlog.PATIENCE_S)
        drawn.append(clock.monotonic())

    for _ in range(2):
        with watch() as watcher:
            watcher.finished(VERDICT, Drawn(take_long, is_whole=is_whole))
        assert "report.html" in shown(client, runs()["summary"])
    assert len(drawn) == (1 if is_whole else 2)
    assert "Not every run is in MLflow" not in caplog.text
    assert client.search_registered_models(f"name = 'monosweep-{writer.sweep}'") == []


@pytest.mark.parametrize(
    ("winner", "is_attached", "is_registered", "expected"),
    [
        (None, True, True, (0, 1)),
        ({"trial": "search/0"}, True, True, (1, 1)),
        # A run that a user deleted, and somebody else's model of the same name.
        ({"trial": "search/0"}, False, True, (2, 2)),
        ({"trial": "search/0"}, True, False, (2, 2)),
    ],
    ids=["no-winner", "all", "no-run", "foreign"],
)
def test_once_shown(
    *,
    watch: Any,
    make_trial: MakeTrial,
    monkeypatch: pytest.MonkeyPatch,
    winner: Any,
    is_attached: bool,
    is_registered: bool,
    expected: tuple[int, int],
) -> None:
    """A winner is registered where there is one; what lacks something is shown again."""
    trial = make_trial("confirmation", 1, role="search/0", loss=1.0)
    registered: list[str] = []
    drawn: list[None] = []

    def register(_: Projection, trial_id: str, network: object) -> bool:
        registered.append(trial_id)
        return is_registered

    monkeypatch.setattr(Projection, "attach_network", lambda *_: is_attached)
    monkeypatch.setattr(Projection, "register", register)
    monkeypatch.setattr(Drawn, "networks", lambda _: iter([(trial, object())]))
    monkeypatch.setattr(Drawn, "write", lambda *_: drawn.append(None))
    for _ in range(2):
        with watch() as watcher:
            watcher.finished({**VERDICT, "winner": winner}, Drawn())
    assert (len(registered), len(drawn)) == expected


def test_a_sweep_that_was_lost_while_it_was_drawn_is_not_shown(
    *, client: MlflowClient, ledger: Ledger, writer: Writer, watch: Any, runs: Any
) -> None:
    with watch() as watcher:
        lost = Drawn(lambda: release(ledger.engine, writer._lease))
        watcher.finished(VERDICT, lost)
    assert "report.html" not in shown(client, runs()["summary"])


def test_curves_that_are_gone_keep_no_other_trial_from_mlflow(
    ended: list[Trial], watch: Any, runs: Any
) -> None:
    """A storage that somebody tidied up is no outage of MLflow."""
    first, second, _ = ended
    assert first.result is not None
    gone = replace(first, result=replace(first.result, curves="results/gone.parquet"))
    with watch() as watcher:
        watcher.trial_ended(gone)
        watcher.trial_ended(second)
    assert "search/1" in runs()


def test_what_was_refused_for_a_while_is_tried_again_at_the_end(
    *,
    writer: Writer,
    ended: list[Trial],
    watch: Any,
    runs: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A disk of MLflow's that is full takes no runs, but answers what is asked of it."""
    monkeypatch.setattr(backlog, "RETRY_S", 0.01)
    log_batch = MlflowClient.log_batch
    refusals: list[Any] = []

    def refuse_for_a_while(self: MlflowClient, *args: Any, **kwargs: Any) -> None:
        if len(refusals) < 2 * backlog.MAX_REFUSALS:
            refusals.append(args)
            error = OperationalError("INSERT", {}, sqlite3.OperationalError("disk is full"))
            raise MlflowException(str(error)) from error
        log_batch(self, *args, **kwargs)

    with watch() as watcher:
        watcher.cohort_progressed("search-0", 0)
        while not runs():
            time.sleep(0.01)
        monkeypatch.setattr(MlflowClient, "log_batch", refuse_for_a_while)
        for trial in ended[:2]:
            watcher.trial_ended(trial)
    assert set(runs()) == {"search/0", "search/1", "summary"}
    assert marks(writer)[:2] == [runs()[f"search/{number}"].info.run_id for number in range(2)]
    # Of many refusals people are told once, in the database's own words.
    assert [re.split(r" Trials|, after", message)[0] for message in caplog.messages] == [
        "MLflow does not take a run (disk is full).",
        "MLflow answers again",
    ]


def test_curves_that_are_away_are_waited_for(
    ended: list[Trial],
    watch: Any,
    runs: Any,
    client: MlflowClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backlog, "RETRY_S", 0.01)
    read_table, asked = Storage.read_table, []

    def away_at_first(self: Storage, path: str) -> pa.Table:
        asked.append(path)
        if len(asked) < 3:
            raise OSError("connection refused")
        return read_table(self, path)

    monkeypatch.setattr(Storage, "read_table", away_at_first)
    with watch() as watcher:
        watcher.trial_ended(ended[0])
    assert points(client, runs()["search/0"], "loss") == [(1, 5.0), (2, 2.5)]


def test_of_runs_that_a_client_made_twice_one_is_kept(
    client: MlflowClient, writer: Writer, ended: list[Trial], watch: Any, runs: Any
) -> None:
    with watch() as watcher:
        watcher.trial_ended(ended[0])
    named = runs()["search/0"]
    for tag, value in [
        (TRIAL_TAG, "search/0"),
        (SUMMARY_TAG, writer.sweep),
        ("mine", "no business"),
    ]:
        client.create_run(named.info.experiment_id, tags={tag: value})
    with watch() as watcher:
        watcher.finished(VERDICT)
    found = client.search_runs([named.info.experiment_id])
    assert len(found) == 3
    assert named.info.run_id in {run.info.run_id for run in found}
    assert "mine" in {tag for run in found for tag in run.data.tags}


def test_a_driver_that_lost_the_sweep_marks_nothing_and_ends(
    ledger: Ledger, writer: Writer, ended: list[Trial], watch: Any
) -> None:
    release(ledger.engine, writer._lease)
    with watch() as watcher:
        for trial in ended[:2]:
            watcher.trial_ended(trial)
    assert marks(writer) == [None, None, None]
    assert "tracking" not in {thread.name for thread in threading.enumerate() if thread.is_alive()}


def test_importing_makes_mlflow_give_up_quickly_unless_the_user_says_otherwise() -> None:
    assert int(os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]) <= 2


def test_a_verdict_that_an_outage_kept_from_mlflow_is_filled_in_by_resume(
    folder: Path, uri: str, writer: Writer, ended: list[Trial], runs: Any
) -> None:
    """MLflow went away after the last trial: every run is there but for the summary's verdict."""
    for trial in ended:
        writer.record_mlflow_run(trial.trial_id, "there already")
    writer._update_sweep(settings=load_spec("quickstart").with_name(writer.sweep).settings())
    writer.begin_attempt("search-2")
    assert ended[0].result is not None
    last = replace(ended[0].result, trial_id="search/2", attempt=2)
    writer.record_results("search-2", 2, [last])
    writer.record_mlflow_run("search/2", "there already")
    verdict = {**VERDICT, "baseline": None, "winner": None, "finalists": []}
    writer.finish(verdict)
    release(writer.ledger.engine, writer._lease)
    home = Home(path=folder, ledger_url=writer.ledger.url, tracking_uri=uri, storage=str(folder))
    assert resume(writer.sweep, home) == verdict
    assert runs()["summary"].data.tags["confirmed"] == "true"
