"""What the tests share: servers, a small sweep file, and trials made by hand."""

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

sys.path += [str(Path(__file__).parent / name) for name in ("servers", "browser", "integration")]

from object_store import VENV, ObjectStore
from postgres import Postgres

from service.checkpoints import Checkpoints
from service.errors import InterruptedSweepError
from service.home import Home
from service.ledger import Ledger, Writer, release, take
from service.opened import OpenSweep, open_sweep
from service.planning import Resolved, resolve, training_settings
from service.room import Machine, Room
from service.search import distributions
from service.spec import Spec, parse_spec
from service.storage import Storage, as_parquet
from service.trials import Phase, Point, Result, Told, Trial

# 64 features in 16 inputs: the effect hardly shows, but every part of a sweep is at work.
TINY = """\
name: tiny
task: {kind: feature_decoder, num_features: 64, num_inputs: 16, feature_density: 0.03125}
model: {num_neurons: 64}
training: {num_steps: 256, batch_size: 32, learning_rate: 0.02, precision: float32}
search_space: bias_and_width
baseline: {num_seeds: 2}
objective: {maximize: monosemantic_per_feature, loss_margin: 0.5}
search: {num_trials: 4}
confirmation: {finalists: 1, num_seeds: 2}
compute: {cohort_size: 2, max_concurrent: 1}
"""

SETTINGS: dict[str, float | int | str] = {
    "num_neurons": 64,
    "nonlinearity": "relu",
    "learning_rate": 0.02,
    "initial_bias": 0.0,
    "bias_decay": 0.0,
    "l1": 0.0,
}


@pytest.fixture
def tiny_text() -> str:
    """A sweep file that trains in seconds."""
    return TINY


MakeSpec = Callable[..., Spec]


@pytest.fixture(scope="session")
def make_spec() -> MakeSpec:
    """The tiny sweep with parts of its file replaced: ``make_spec(("num_trials: 4", ...))``."""
    return _make_spec


def _make_spec(*replaced: tuple[str, str]) -> Spec:
    text = TINY
    for old, new in replaced:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return parse_spec(text, origin="test")


@pytest.fixture(scope="session")
def make_facts() -> Callable[..., Any]:
    """What MLflow's runs tell of the tiny sweep under a name: ``make_facts("tiny")``.

    Parts of its file replaced: ``make_facts("tiny", ("loss_margin: 0.5", ...))``.
    """
    return _make_facts


def _make_facts(name: str, *replaced: tuple[str, str]) -> Any:
    from service.tracking import Facts

    return Facts(
        spec=_make_spec(*replaced).with_name(name),
        versions={"monosweep": "0.2", "torch": "2.13"},
        precision="float32",
        device="cpu",
        cpus=1,
    )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home of its own, on SQLite."""
    path = tmp_path / "home"
    return Home(
        path=path,
        ledger_url=f"sqlite:///{path / 'ledger.db'}",
        tracking_uri=f"sqlite:///{path / 'mlflow.db'}",
        storage=str(path),
    )


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; whoever stops it starts it again."""
    with closing(Postgres()) as server:
        server.start()
        yield server


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """An S3 store; whoever stops or pauses it lets it go on again."""
    if not ObjectStore.is_installed():
        pytest.skip(f"OpenStack Swift is not installed in {VENV}: make test")
    with closing(ObjectStore()) as store:
        store.start()
        yield store


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for a file's tests, which are skipped where there is none.

    Not for all: while it is there, its library has an event loop running in this thread.
    """
    pytest.importorskip("playwright", reason="no playwright: make test installs it")
    from chromium import executable, started

    path = executable()
    if path is None:
        pytest.skip("no browser: apt-get install chromium fonts-dejavu-core")
    with started(path) as found:
        yield found


NewLedgerUrl = Callable[[], str]


@pytest.fixture(params=["sqlite", "postgresql"])
def new_ledger_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> NewLedgerUrl:
    """Databases that nobody else has and that hold nothing: once on SQLite, once on PostgreSQL."""
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        return server.new_database
    return lambda: f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}"


@pytest.fixture
def ledger_url(new_ledger_url: NewLedgerUrl) -> str:
    """One such database."""
    return new_ledger_url()


@pytest.fixture(params=["folder", "s3"])
def storage_uri(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """A storage that nobody else has: once a folder, once a place in an object store."""
    if request.param == "folder":
        return str(tmp_path / "storage")
    store: ObjectStore = request.getfixturevalue("object_store")
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return store.new_bucket()


MakeTrial = Callable[..., Trial]


@pytest.fixture(scope="session")
def make_trial() -> MakeTrial:
    """Trials by hand: ``make_trial("search", 3, loss=0.9, monosemantic_per_feature=0.4)``."""
    return _make_trial


def _make_trial(
    phase: Phase,
    number: int,
    *,
    state: Any = "complete",
    settings: Mapping[str, float | int | str] | None = None,
    seeds: tuple[int, ...] = (0,),
    role: str | None = None,
    loss_ratio: float | None = None,
    reason: str | None = None,
    cohort_id: str = "search-0",
    **metrics: float,
) -> Trial:
    result = Result(
        trial_id=f"{phase}/{number}",
        attempt=1,
        state=state,
        reason=reason,
        metrics=metrics if state == "complete" else {},
        replicates=tuple(metrics for _ in seeds) if state == "complete" else (),
        loss_ratio=loss_ratio,
        num_steps=256,
        train_s=1.0,
    )
    return Trial(
        phase=phase,
        number=number,
        settings={**SETTINGS, **(settings or {})},
        varied=("initial_bias", "bias_decay", "num_neurons"),
        seeds=seeds,
        cohort_id=cohort_id,
        role=role,
        state=state,
        attempts=1,
        result=result if state not in ("running", "waiting") else None,
    )


@pytest.fixture
def tiny_writer(home: Home) -> Iterator[Writer]:
    """The pen of the tiny sweep, which is in the home's ledger and has no trials yet."""
    spec = _make_spec()
    with closing(Ledger(home.ledger_url)) as ledger:
        ledger.create_sweep(
            spec.name,
            spec_text=spec.text,
            settings=spec.settings(),
            versions={},
            num_trials=spec.search.num_trials,
        )
        lease = take(ledger.engine, spec.name)
        with closing(Writer(ledger, lease)) as writer:
            writer.create_studies(["maximize"])
            yield writer
        release(ledger.engine, lease)


@pytest.fixture
def record() -> Callable[..., None]:
    """Put trials made by hand into the ledger: ``record(writer, trial, ...)``."""
    return _record


def _record(writer: Writer, *trials: Trial) -> None:
    """Each in a cohort of its own, ``search-3`` for ``search/3``, as far as its state says."""
    varied = distributions(_make_spec().space)
    for trial in trials:
        cohort_id = f"{trial.phase}-{trial.number}"
        point = Point(
            settings=trial.settings,
            seeds=trial.seeds,
            role=trial.role,
            varied=tuple(varied) if trial.phase == "search" else (),
        )
        writer.add_trials(trial.phase, trial.number, [point], cohort_id, varied)
        if trial.state == "waiting":
            continue
        attempt = writer.begin_attempt(cohort_id)
        if trial.result is not None:
            writer.record_results(cohort_id, attempt, [replace(trial.result, attempt=attempt)])


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow's without experiments, to be copied: to make one takes seconds."""
    from service.tracking.database import make_database

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    make_database(path, path.parent / "artifacts")
    return path


@pytest.fixture
def interrupted(
    home: Home, tiny_writer: Writer, make_trial: MakeTrial, empty_mlflow: Path
) -> Iterator[Ledger]:
    """The tiny sweep, interrupted: two ended trials with tables and runs, a cohort half way."""
    from service.tracking import Projection

    projection = Projection(home.tracking_uri, home.artifacts, _make_facts("tiny"))
    shutil.copy(empty_mlflow, home.path / "mlflow.db")
    storage = Storage(home.storage)
    for number in (0, 1):
        path = f"results/tiny/baseline-{number}/curves-1.parquet"
        storage.write_bytes(
            path, as_parquet(pa.table({"trial_id": [f"baseline/{number}"], "step": [1]}))
        )
        trial = make_trial("baseline", number, seeds=(number,), loss=1.0)
        trial = replace(trial, result=replace(trial.result, curves=path))  # type: ignore[type-var]
        _record(tiny_writer, trial)
        tiny_writer.tell({f"baseline/{number}": Told((1.0,))})
        tiny_writer.record_mlflow_run(trial.trial_id, projection.project_trial(trial, None))
    projection.project_summary(TINY, None, "KILLED")
    at_work = make_trial("search", 0, settings={"initial_bias": -0.5, "bias_decay": 1.0})
    _record(tiny_writer, replace(at_work, state="running", result=None))
    Checkpoints(storage, "tiny", "search-0").write(_checkpoint(), num_steps_done=1, attempt=1)
    _stop(tiny_writer, home)
    (home.tune / "tiny").mkdir(parents=True)
    (home.tune / "tiny" / "experiment_state.json").write_text("{}")
    release(tiny_writer.ledger.engine, tiny_writer._lease)
    yield tiny_writer.ledger


def _stop(writer: Writer, home: Home) -> None:
    """End the sweep as its driver does that was asked to stop."""
    from service.driver import _finished
    from service.life import Life

    spec = _make_spec()
    life = Life(
        spec,
        num_trials=spec.search.num_trials,
        trials=writer.ledger.trials(spec.name),
        ledger=writer.ledger,
        writer=writer,
        resolved=resolve(spec, Room((Machine(num_cpus=2, memory_bytes=2**34),))),
        storage=home.storage,
    )
    with pytest.raises(InterruptedSweepError):
        _finished(life, writer, tracking=None, showcase=None)  # type: ignore[arg-type]


def _checkpoint() -> bytes:
    """Of a cohort that the trainers can go on with."""
    import trainers

    task = trainers.Task(
        kind="feature_decoder", num_features=64, num_inputs=16, feature_density=0.03125
    )
    training = trainers.TrainingSettings(num_steps=8, batch_size=32, precision="float32")
    return trainers.to_bytes(trainers.begin(task, training, [trainers.Member(seed=0, **SETTINGS)]))


@pytest.fixture
def train_sweep(home: Home, tiny_writer: Writer) -> Iterator[Callable[..., OpenSweep]]:
    """``train_sweep(trial, ...)``: the tiny sweep with a cohort that was really trained."""
    import torch

    before = torch.get_num_threads()
    yield partial(_train_sweep, home, tiny_writer)
    torch.set_num_threads(before)


def _train_sweep(
    home: Home, writer: Writer, *trials: Trial, precision: str = "float32"
) -> OpenSweep:
    """Trained in float32, whatever is recorded."""
    from service.cohort import Cohort, CohortTraining

    spec = _make_spec()
    resolved = Resolved(
        cohort_size=2,
        max_concurrent=1,
        sampler="tpe",
        precision=precision,
        device="cpu",
        cpus=1,
        gpus=0,
    )
    if writer.ledger.sweep(spec.name).resolved is None:
        writer.record_resolved(resolved.as_json(), [])
    training = CohortTraining(
        Cohort(
            sweep=spec.name,
            cohort_id=f"{trials[0].phase}-0",
            attempt=1,
            trials=trials,
            task=spec.task.model_dump(),
            training=training_settings(spec, "float32", "cpu"),
            num_threads=1,
            storage=home.storage,
            checkpoint_s=30.0,
        )
    )
    while not training.is_finished:
        training.advance(60.0)
    training.close()
    for trial, result in zip(trials, training.results(), strict=True):
        _record(writer, replace(trial, state=result.state, result=result))
    return open_sweep(spec.name, home)
