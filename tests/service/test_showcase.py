"""What MLflow shows beside a finished sweep's numbers is made once for each verdict."""

import logging
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from service.home import Home
from service.ledger import Writer
from service.opened import OpenSweep
from service.showcase import Showcase
from service.trials import Trial

MakeTrial = Callable[..., Trial]
IN_SPACE = {"initial_bias": -0.5, "bias_decay": 1.0}


@pytest.fixture
def showcase(
    home: Home,
    tiny_writer: Writer,
    train_sweep: Callable[..., OpenSweep],
    make_trial: MakeTrial,
    monkeypatch: pytest.MonkeyPatch,
) -> Showcase:
    """Of a sweep with three confirmed networks, one of them of the finalist search/0."""
    train_sweep(make_trial("search", 0, settings=IN_SPACE))
    train_sweep(
        make_trial("confirmation", 0, seeds=(7,), role="baseline"),
        make_trial("confirmation", 1, settings=IN_SPACE, seeds=(7,), role="search/0"),
        make_trial("confirmation", 2, settings=IN_SPACE, seeds=(7,), role="search/0 at 64"),
    )
    open_verdict = OpenSweep.best
    rows = [
        {"role": "search/0", "is_finalist": True},
        {"role": "search/0 at 64", "is_finalist": False},
    ]
    monkeypatch.setattr(OpenSweep, "best", lambda self: {**open_verdict(self), "finalists": rows})
    return Showcase("tiny", home)


def test_report_figures_and_tables_are_files(showcase: Showcase, tmp_path: Path) -> None:
    folder = tmp_path / "shown"
    folder.mkdir()
    showcase.write(folder)
    assert "<h1" in (folder / "report.html").read_text()
    figures = {path.stem for path in (folder / "figures").glob("*.svg")}
    assert {"training", "timeline"} <= figures
    assert pq.read_table(folder / "tables" / "trials.parquet").num_rows == 4
    neurons = pq.read_table(folder / "tables" / "confirmed_neurons.parquet")
    assert set(neurons["trial_id"].to_pylist()) == {f"confirmation/{n}" for n in range(3)}
    assert showcase.is_whole


def test_only_finalists_networks_are_shown(showcase: Showcase) -> None:
    ((trial, network),) = showcase.networks()
    assert (trial.trial_id, network.member.seed) == ("confirmation/1", 7)


def test_what_is_gone_is_left_out_with_a_word(
    showcase: Showcase, home: Home, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in (Path(home.storage) / "results").rglob("*.safetensors"):
        path.unlink()
    with caplog.at_level(logging.WARNING):
        assert list(showcase.networks()) == []
    assert "MLflow does not get the network of confirmation/1 of tiny" in caplog.text
    assert not showcase.is_whole


def test_one_file_that_is_gone_takes_no_other_along(
    showcase: Showcase, home: Home, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in (Path(home.storage) / "results").rglob("curves*"):
        path.unlink()
    showcase.write(tmp_path)
    figures = {path.stem for path in (tmp_path / "figures").glob("*.svg")}
    assert "timeline" in figures
    assert "training" not in figures
    tables = {path.stem for path in (tmp_path / "tables").iterdir()}
    assert tables == {"trials", "confirmed_neurons"}
    for what in ("the report", "the figure training"):
        assert f"MLflow does not get {what} of tiny" in caplog.text
    assert not showcase.is_whole
