"""The figures of batches whose results are known."""

from dataclasses import replace

import pyarrow as pa
import pytest

from search_spaces.paper import BATCHES
from service.columns import CURVES_SCHEMA
from service.errors import UserError
from service.home import Home
from service.paper.batch_claims import judged
from service.paper.figure import batch_figure, curves_figure, write_figures


@pytest.fixture
def home(tmp_path):
    return Home(path=tmp_path, ledger_url="", tracking_uri="", storage=str(tmp_path))


@pytest.fixture
def batch_of(make_point, make_result):
    """A function that makes a batch whose points have a loss of 0.5 and 0, 1/100, ... neurons."""

    def make(name, failed=()):
        grids = BATCHES[name].grids
        places = [{}]
        for grid, values in grids.items():
            places = [{**place, grid: value} for place in places for value in values]
        points = [
            make_point(None if index in failed else index / 100, 0.5, **place)
            for index, place in enumerate(places)
        ]
        return make_result(name, points)

    return make


def with_curves(result):
    """The same, each point with a curve of three steps."""
    rows = [
        {"replicate": 0, "step": step, "loss": 1.0 / step, "monosemantic_per_feature": 0.1,
         "feature_coverage": 0.1, "mean_bias": -0.1}
        for step in (1, 2, 4)
    ]  # fmt: skip
    curves = pa.Table.from_pylist(rows, CURVES_SCHEMA)
    return replace(result, points=tuple(replace(point, curves=curves) for point in result.points))


@pytest.mark.parametrize(
    ("name", "scale", "label"),
    [
        ("LR1", "log", "learning rate (log scale)"),
        ("B1", "linear", "initial mean bias"),
        ("K1", "log", "neurons (log scale)"),
        ("D1", "log", "bias decay (log scale)"),
    ],
)
def test_a_line_over_what_varies_with_the_loss_below(batch_of, name, scale, label):
    result = batch_of(name)
    share, loss = batch_figure(result).axes
    assert (loss.get_xscale(), loss.get_xlabel()) == (scale, label)
    (grid,) = BATCHES[name].grids.values()
    mono, coverage = share.get_lines()
    # Of the losses alone: no ceiling, no limit.
    (below,) = loss.get_lines()
    for line in (mono, coverage, below):
        assert list(line.get_xdata()) == list(grid)
    assert list(mono.get_ydata()) == [index / 100 for index in range(len(grid))]
    assert set(below.get_ydata()) == {0.5}
    # From zero, and no mark at the edge.
    assert loss.get_ylim() == pytest.approx((0.0, 0.55))


def test_of_two_grids_a_line_for_each_rate(batch_of):
    share, loss = batch_figure(batch_of("G3")).axes
    labels = [line.get_label() for line in share.get_lines()]
    assert labels == [f"learning rate {rate:g}" for rate in BATCHES["G3"].learning_rate]
    assert [len(line.get_xdata()) for line in loss.get_lines()] == [11] * 6
    marks = {(line.get_marker(), line.get_color()) for line in share.get_lines()}
    assert len(marks) == 6
    assert loss.get_xlabel() == "initial mean bias"


def test_what_failed_is_left_out_and_told(batch_of):
    figure = batch_figure(batch_of("LR1", failed=(1, 2)))
    assert [len(line.get_xdata()) for line in figure.axes[1].get_lines()] == [4]
    said = " ".join(text.get_text() for text in figure.texts)
    assert "2 of 6 points failed and are left out." in said
    assert "256 features, 32 inputs, 512 neurons; 8,192 steps on batches of 256" in said
    assert "0.00 at learning rate 0.001 to 0.05 at 0.03; loss 0.500 to 0.500." in figure.finding


@pytest.mark.parametrize(("name", "num_lines"), [("LR1", 6), ("G3", 66)])
def test_curves_of_every_point(batch_of, name, num_lines):
    figure = curves_figure(with_curves(batch_of(name)))
    loss, share, _ = figure.axes
    assert len(loss.get_lines()) == len(share.get_lines()) == num_lines
    assert loss.get_xscale() == "log"
    assert share.get_ylabel() == "for each feature"
    assert figure.finding == f"Curves of {num_lines} points, by their learning rate."
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        f"learning rate {rate:g}" for rate in BATCHES[name].learning_rate
    ]


def test_figures_are_written_whole_beside_the_reports(batch_of, home):
    paths = write_figures(with_curves(batch_of("LR1")), home)
    name = "paper-LR1-scale2-steps8192-batch256"
    assert paths == [
        home.path / "reports" / f"{name}.svg",
        home.path / "reports" / f"{name}-training.svg",
    ]
    assert sorted(paths) == sorted((home.path / "reports").iterdir())
    before = [path.read_bytes() for path in paths]
    assert all(data.startswith(b"<?xml") for data in before)
    (home.path / "reports" / f"{name}.svg.partial").write_text("what a crash left")
    assert write_figures(with_curves(batch_of("LR1")), home) == paths
    assert [path.read_bytes() for path in paths] == before
    assert sorted(paths) == sorted((home.path / "reports").iterdir())


@pytest.mark.parametrize("name", BATCHES)
def test_every_batch_has_a_figure_even_where_all_of_it_failed(batch_of, home, name):
    result = batch_of(name, failed=range(66))
    (path,) = write_figures(result, home)
    assert path.stat().st_size > 1000
    assert judged(result).verdict in ("not held", "not tested")


def test_a_folder_that_cannot_be_written_is_the_users_to_mend(batch_of, home):
    (home.path / "reports").write_text("a file")
    with pytest.raises(UserError, match="figures must be files that can be written"):
        write_figures(batch_of("LR1"), home)
