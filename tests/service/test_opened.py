"""A sweep opened for a notebook shows what the ledger and the storage hold."""

from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pytest

from service.columns import CURVES_SCHEMA
from service.errors import StorageError, UserError
from service.home import Home
from service.ledger import Writer
from service.opened import open_sweep
from service.storage import Storage
from service.trials import Trial
from trainers.networks import NETWORKS

MakeTrial = Callable[..., Trial]
IN_SPACE = {"initial_bias": -0.5, "bias_decay": 1.0}


def curves(*trial_ids: str) -> pa.Table:
    """A row for each trial, numbered from 0 in its loss."""
    columns = {name: [0] * len(trial_ids) for name in CURVES_SCHEMA.names}
    columns |= {"trial_id": list(trial_ids), "loss": list(map(float, range(len(trial_ids))))}
    return pa.table(columns).cast(CURVES_SCHEMA)


@pytest.fixture
def recorded(
    home: Home, tiny_writer: Writer, make_trial: MakeTrial, record: Callable[..., None]
) -> None:
    """Two trials of one file, one that was not trained, and one that waits."""
    path = Storage(home.storage).add_table(
        "results/tiny/search-0/curves-1", curves("search/0", "search/1")
    )
    for number in (0, 1):
        trial = make_trial("search", number, settings=IN_SPACE, loss=0.5)
        record(tiny_writer, replace(trial, result=replace(trial.result, curves=path)))
    record(tiny_writer, make_trial("search", 2, settings=IN_SPACE, state="waiting"))


@pytest.mark.usefixtures("recorded")
def test_tables_are_those_of_the_trials_that_were_asked_for(home: Home) -> None:
    sweep = open_sweep("tiny", home)
    assert (sweep.name, sweep.state) == ("tiny", "running")
    assert sweep.trials["state"].to_pylist() == ["complete", "complete", "waiting"]
    assert sweep.curves["trial_id"].to_pylist() == ["search/0", "search/1"]
    assert sweep.curves_of("1")["loss"].to_pylist() == [1.0]
    assert sweep.curves_of().num_rows == 0


@pytest.mark.usefixtures("recorded")
def test_it_knows_what_trained_where_and_has_no_verdict_yet(home: Home) -> None:
    sweep = open_sweep("tiny", home)
    attempts = sweep.attempts.to_pylist()
    assert [row["cohort_id"] for row in attempts] == ["search-0", "search-1"]
    assert {row["outcome"] for row in attempts} == {"results recorded"}
    assert all(row["started_at"] <= row["ended_at"] for row in attempts)
    assert (sweep.best()["confirmed"], sweep.best()["winner"]) == (False, None)


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    ("trial_id", "message"),
    [
        ("7", "must be a trial 'search/7' in the sweep tiny, found search/0 to search/2"),
        ("nonsense", "must be a trial 'nonsense'"),
        ("search/2", "must have ended to have curves, found search/2 waiting"),
    ],
)
def test_a_trial_that_has_none_is_refused(home: Home, trial_id: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_sweep("tiny", home).curves_of(trial_id)


def test_a_sweep_that_is_not_there_is_refused(home: Home, tiny_writer: Writer) -> None:
    with pytest.raises(UserError, match="'nowhere' in the ledger, found only: tiny"):
        open_sweep("nowhere", home)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            replace(NETWORKS, format_version=NETWORKS.format_version + 1).seal([], {}),
            r"must be at most 1, found 2\. Install a later monosweep\. \(results/kept\)",
        ),
        (b"nothing of ours", "must be a safetensors file"),
        (NETWORKS.seal([], {})[:-9], "must be whole"),
    ],
    ids=["later", "another", "cut short"],
)
def test_networks_that_cannot_be_read_are_an_error_of_the_storage(
    *,
    home: Home,
    tiny_writer: Writer,
    make_trial: MakeTrial,
    record: Callable[..., None],
    data: bytes,
    message: str,
) -> None:
    Storage(home.storage).write_bytes("results/kept", data)
    trial = make_trial("confirmation", 0, role="baseline", loss=0.5)
    assert trial.result is not None
    record(tiny_writer, replace(trial, result=replace(trial.result, weights="results/kept")))
    with pytest.raises(StorageError, match=message):
        open_sweep("tiny", home).kept_networks("confirmation/0")
