"""Which figures a sweep has in each state, and why it lacks the others."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from service.figures import Gallery, as_svg
from service.figures.confirmation import confirmation_figure
from service.figures.importance import importance_figure
from service.home import Home
from service.importance import answers
from service.ledger import Ledger, Writer
from service.opened import OpenSweep, open_sweep
from service.trials import Trial

MakeTrial = Callable[..., Trial]
Record = Callable[..., None]
IN_SPACE = {"initial_bias": -0.5, "bias_decay": 1.0}
ALL = ["confirmation", "front", "settings", "importance", "training", "neurons", "timeline"]


def test_a_finished_sweep_has_all_of_them_in_order(finished: OpenSweep) -> None:
    found = finished.figures
    assert list(found) == ALL
    assert all(isinstance(figure, Figure) for figure in found.values())
    # Its networks were drawn, not trained.
    assert finished.figures.absent == {"activations": "no network of a confirmation was kept"}
    for figure in finished.figures.values():
        assert figure.heading
        assert figure.finding.endswith(".")
        # Which sweep, of what size.
        small_print = " ".join(text.get_text() for text in figure.texts[1:])
        assert "drawn: feature decoder, 256 features, 32 inputs, 512 neurons" in small_print


def test_drawn_when_looked_at_and_once(finished: OpenSweep) -> None:
    gallery = Gallery(finished)
    assert gallery["timeline"] is gallery["timeline"]
    assert list(gallery._drawn) == ["timeline"]


def test_nothing_yet(tiny_writer: Writer, home: Home) -> None:
    gallery = open_sweep("tiny", home).figures
    assert list(gallery) == []
    assert gallery.absent["confirmation"] == "there is no verdict yet"
    assert gallery.absent["timeline"] == "no cohort was handed out yet"
    assert gallery.absent["training"] == "no trial has ended"
    assert "it takes at least 15 complete trials" in gallery.absent["importance"]
    with pytest.raises(KeyError, match="no trial has ended"):
        gallery["training"]
    assert "no training: no trial has ended" in repr(gallery)


def test_one_trial(tiny_writer: Writer, home: Home, make_trial: MakeTrial, record: Record) -> None:
    record(
        tiny_writer,
        make_trial(
            "search",
            0,
            settings=IN_SPACE,
            loss=0.9,
            loss_ratio=0.9,
            monosemantic_per_feature=0.4,
            mean_bias=0.0,
        ),
    )
    found = open_sweep("tiny", home).figures
    assert list(found) == ["front", "settings", "timeline"]
    assert all(as_svg(figure) for figure in found.values())


def test_nothing_but_stopped_and_failed_ones(
    tiny_writer: Writer, home: Home, make_trial: MakeTrial, record: Record
) -> None:
    record(
        tiny_writer,
        make_trial("search", 0, settings=IN_SPACE, state="pruned", reason="stopped at step 4"),
        make_trial("search", 1, settings=IN_SPACE, state="failed", reason="diverged"),
    )
    gallery = open_sweep("tiny", home).figures
    assert list(gallery) == ["timeline"]
    assert gallery.absent["settings"] == "no search trial is complete"


def test_interrupted(interrupted: Ledger, home: Home) -> None:
    gallery = open_sweep("tiny", home).figures
    assert "timeline" in gallery
    assert "confirmation" in gallery.absent


def test_confirmation_shows_what_decides(finished: OpenSweep) -> None:
    verdict = finished.best()
    figure = confirmation_figure(verdict, "small")
    ratio = figure.axes[0]
    assert [axes.get_title("left") for axes in figure.axes] == [
        "loss ratio",
        "monosemantic per feature",
        "gain over the baseline",
    ]
    dashed = {
        float(line.get_xdata()[0])
        for line in ratio.lines
        if line.get_linestyle() == "--" and len(set(line.get_xdata())) == 1
    }
    assert 1.02 in dashed
    labels = [label.get_text() for label in ratio.get_yticklabels()]
    winner = verdict["winner"]
    assert labels[0] == "baseline (512 neurons)"
    assert labels[1] == f"{winner['trial']} ({winner['num_neurons']} neurons)"
    assert len(labels) == 1 + len(verdict["finalists"])
    # The winner's interval, as the verdict has it.
    bar = ratio.collections[1].get_segments()[0]
    assert [bar[0][0], bar[1][0]] == pytest.approx(
        [winner["loss_ratio"]["low"], winner["loss_ratio"]["high"]]
    )
    assert winner["trial"] in figure.finding


def test_importance_draws_shares_and_what_may_be_chance(finished: OpenSweep) -> None:
    search = [trial for trial in finished.known_trials if trial.phase == "search"]
    targets = answers(finished.spec, search)
    figure = importance_figure(targets, "small")
    assert len(figure.axes) == 2
    for axes, target in zip(figure.axes, targets, strict=True):
        shares = [setting["importance"] for setting in target["settings"]]
        assert [bar.get_width() for bar in axes.patches] == shares
        assert shares == sorted(shares, reverse=True)
        hatched = [bar.get_hatch() is not None for bar in axes.patches]
        assert hatched == [not setting["beyond_chance"] for setting in target["settings"]]
    # What the numbers were drawn from: the bias.
    assert figure.axes[0].get_yticklabels()[0].get_text() == "initial bias"


def test_without_shufflings_nothing_is_said_of_chance(finished: OpenSweep) -> None:
    search = [trial for trial in finished.known_trials if trial.phase == "search"]
    targets = answers(finished.spec, search, 0)
    assert {one["beyond_chance"] for target in targets for one in target["settings"]} == {None}
    with_them = answers(finished.spec, search)
    assert [one["importance"] for one in targets[0]["settings"]] == [
        one["importance"] for one in with_them[0]["settings"]
    ]
    assert importance_figure(targets, "small").legends == []


def test_an_open_sweep_shows_itself(finished: OpenSweep) -> None:
    assert repr(finished) == ("<sweep drawn: finished, 4 baseline, 40 search, 16 confirmation>")
    html = finished._repr_html_()
    assert "<strong>drawn</strong>" in html
    assert "wins" in html
    record = replace(finished.record, verdict={**finished.best(), "sentence": "<b>5 & 6</b>"})
    said = OpenSweep(record, [], [], finished._storage)._repr_html_()
    assert "&lt;b&gt;5 &amp; 6&lt;/b&gt;" in said
    assert "no trials yet" in said


def test_a_figure_is_made_an_svg_once(finished: OpenSweep) -> None:
    figures = Gallery(finished)
    first = figures.svg("timeline")
    assert first == as_svg(Gallery(finished)["timeline"])
    assert figures.svg("timeline") is first
