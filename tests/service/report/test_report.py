"""The page tells the story in order, by itself, in every state, and whatever its users wrote."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from large_sweep import large_sweep

from service.errors import StorageError, UserError
from service.home import Home
from service.ledger import Ledger, SweepRecord, Writer
from service.opened import OpenSweep, open_sweep
from service.report import page, write_report
from service.report.question import question
from service.spec import Spec
from service.trials import Trial

MakeTrial = Callable[..., Trial]
MakeSpec = Callable[..., Spec]
Record = Callable[..., None]
IN_SPACE = {"initial_bias": -0.5, "bias_decay": 1.0}
# Elements without an end.
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """A page taken apart: its elements, its text by element, and what it would ask a server for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.append((self.open[-1], data))

    def texts_of(self, tag: str) -> list[str]:
        return [" ".join(data.split()) for one, data in self.texts if one == tag and data.strip()]

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for one, attrs in self.tags if one == tag]


@pytest.fixture(scope="module")
def html(finished: OpenSweep) -> str:
    return page(finished)


def test_question_answer_and_evidence_in_that_order(html: str, finished: OpenSweep) -> None:
    found = Page(html)
    assert found.texts_of("h1") == ["drawn"]
    assert found.texts_of("h2") == [
        "A winner",
        "Confirmed on fresh seeds",
        "What the search found",
        "What training did",
        "How it was made",
        "The trials",
        "How to repeat it",
    ]
    winner = finished.best()["winner"]["trial"]
    before_answer, _, after = html.partition('<h2 id="answer">')
    assert "bring more monosemantic neurons for each feature than the baseline" in before_answer
    sentence = re.search(r'<p class="sentence">(.*?)</p>', after, re.DOTALL)
    assert sentence is not None
    assert sentence[1].startswith("Yes: ")
    assert winner in sentence[1]
    # The verdict in full.
    said = " ".join(found.texts_of("p"))
    assert finished.best()["sentence"] in said


def test_it_needs_nothing_else(html: str) -> None:
    found = Page(html)
    assert found.named("script") == []
    addresses = [
        value
        for _, attrs in found.tags
        for name, value in attrs.items()
        if name in ("src", "href", "xlink:href", "action", "data", "srcset")
    ]
    assert addresses
    # Places on the page itself, and pictures that are part of it.
    assert all(
        (value is not None and value[:5] in ("data:",)) or value[:1] == "#" for value in addresses
    )
    assert "@import" not in html
    assert not re.search(r"url\((?!#|\"#)", html)


def test_everybody_can_read_it(html: str) -> None:
    found = Page(html)
    assert found.named("html") == [{"lang": "en"}]
    pictures = [attrs for attrs in found.named("svg") if attrs.get("role") == "img"]
    assert len(pictures) == 7
    assert all(len(str(attrs["aria-label"])) > 40 for attrs in pictures)
    assert all(attrs.get("scope") in ("col", "row") for attrs in found.named("th"))
    ids = [attrs["id"] for _, attrs in found.tags if attrs.get("id")]
    assert len(ids) == len(set(ids))
    links = [str(attrs["href"]) for attrs in found.named("a")]
    assert {link.removeprefix("#") for link in links if link.startswith("#")} <= set(ids)


def test_how_it_was_made(html: str) -> None:
    text = " ".join(data for _, data in Page(html).texts)
    assert "256 features, uniform, density 0.015625, in 32 inputs" in text
    assert "8,192 steps of batch 256" in text
    # 4 and 16 networks and 34 of the search to the end of 8192 steps, 6 of it for 2048.
    assert "60 networks, 454,656 steps in all, 10 min of training" in text
    assert "search 34 complete, 5 pruned and 1 failed" in text
    assert "stopped at step 2048" in text
    assert "the loss was not finite at step 1" in text
    assert "monosweep 0, torch 2, numpy 2 and processor drawn" in text
    assert "monosweep export drawn --output DIR" in text


def test_the_best_trials_first(html: str, finished: OpenSweep) -> None:
    rows = html[html.index('id="trials"') :]
    trials = re.findall(r'<th scope="row">(search/\d+)</th><td>([\w ]+)</td>', rows)
    assert len(trials) == 40
    states = [state for _, state in trials]
    assert states == sorted(states, key=["feasible", "beyond a limit", "stopped", "failed"].index)
    shares = [
        finished.trial(trial).result.metrics["monosemantic_per_feature"]  # type: ignore[union-attr]
        for trial, state in trials
        if state == "feasible"
    ]
    assert shares == sorted(shares, reverse=True)


def test_the_same_sweep_gives_the_same_page(html: str, finished_home: Home) -> None:
    assert page(open_sweep("drawn", finished_home)) == html


EVIL = "<script>alert('&')</script>"


def test_whatever_somebody_wrote_is_text(
    tiny_writer: Writer, home: Home, make_trial: MakeTrial, record: Record
) -> None:
    record(
        tiny_writer,
        make_trial("search", 0, settings=IN_SPACE, state="failed", reason=f"died: {EVIL}"),
    )
    attempt = tiny_writer.begin_attempt("search-9")
    tiny_writer.record_begin("search-9", attempt, first_step=0, worker=f"{EVIL} 12")
    tiny_writer.end_attempt("search-9", attempt, f"killed {EVIL}")
    sweep = open_sweep("tiny", home)
    sweep.record = replace(
        sweep.record, spec_text=f"# {EVIL}\n{sweep.record.spec_text}", failure=EVIL
    )
    html = page(sweep)
    found = Page(html)
    assert found.named("script") == []
    assert "<script" not in html
    for tag in ("td", "li", "pre", "p", "text"):
        assert any(EVIL in " ".join(text.split()) for text in joined(html, tag)), tag


def joined(html: str, tag: str) -> list[str]:
    """The text of each element of a kind, entities resolved."""
    found = re.findall(rf"<{tag}\b[^>]*>(.*?)</{tag}>", html, re.DOTALL)
    return [unescape(one) for one in found]


def test_nothing_has_begun(tiny_writer: Writer, home: Home) -> None:
    html = page(open_sweep("tiny", home))
    assert "No verdict yet" in html
    assert "the sweep is running in its baseline phase, with 0 of 4 search trials ended" in html
    assert "There is no figure of training: no trial has ended." in html


def test_interrupted_says_how_to_go_on(interrupted: Ledger, home: Home) -> None:
    html = page(open_sweep("tiny", home))
    assert "Not known yet: the sweep is interrupted" in html
    assert "Go on with it: monosweep resume tiny" in html


def test_the_best_so_far_is_not_confirmed(
    tiny_writer: Writer, home: Home, make_trial: MakeTrial, record: Record
) -> None:
    numbers = {"loss": 0.9, "monosemantic_per_feature": 0.4, "mean_bias": -0.1}
    record(tiny_writer, make_trial("search", 0, settings=IN_SPACE, loss_ratio=0.9, **numbers))
    html = page(open_sweep("tiny", home))
    assert "The best feasible trial so far, search/0, has monosemantic per feature 0.4" in html
    assert "it is not confirmed" in html


def with_record(sweep: OpenSweep, record: SweepRecord) -> OpenSweep:
    """The sweep with another record, and with so few trials that a page is made quickly."""
    some = [trial for trial in sweep.known_trials if trial.phase != "search" or trial.number < 9]
    return OpenSweep(record, some, sweep._attempts, sweep._storage)


def test_no_winner_says_what_is_missing(finished: OpenSweep) -> None:
    verdict = finished.best()
    finalists = [
        {**row, "passes": False, "shortfalls": ["its gain may be as low as -1"]}
        for row in verdict["finalists"]
    ]
    record = replace(
        finished.record,
        verdict={**verdict, "winner": None, "confirmed": False, "finalists": finalists},
    )
    sweep = with_record(finished, record)
    found = Page(page(sweep))
    assert found.texts_of("h2")[0] == "No winner"
    assert "None of the 3 finalists was surely better" in " ".join(found.texts_of("p"))
    assert any("its gain may be as low as -1" in text for text in found.texts_of("li"))


def test_a_verdict_of_the_first_versions_has_a_page(finished: OpenSweep) -> None:
    younger = {"objectives", "num_confirmed", "limits", "is_finalist", "gains", "front", "enqueued"}

    def without(row: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in row.items() if name not in younger}

    verdict = without(finished.best())
    rows = [without(row) for row in verdict["finalists"]]
    record = replace(finished.record, verdict={**verdict, "finalists": rows})
    found = Page(page(with_record(finished, record)))
    assert found.texts_of("h2")[:2] == ["A winner", "Confirmed on fresh seeds"]
    assert "wins" in found.texts_of("td")


def test_nothing_was_feasible(finished: OpenSweep) -> None:
    said = "No winner: of 40 trials none kept its loss within 2% of the baseline's."
    verdict = {**finished.best(), "winner": None, "baseline": None, "finalists": []}
    record = replace(finished.record, verdict={**verdict, "sentence": said})
    sweep = with_record(finished, record)
    found = Page(page(sweep))
    assert said in found.texts_of("p")
    assert "Confirmed on fresh seeds" not in found.texts_of("h2")


@pytest.mark.parametrize(
    ("objective", "asked"),
    [
        (
            "{maximize: monosemantic_per_feature, loss_margin: 0.02}",
            "Can initial bias, bias decay and width bring more monosemantic neurons for each "
            "feature than the baseline, at a loss no more than 2% above the baseline's?",
        ),
        (
            "{maximize: feature_coverage, minimize: [loss, num_neurons], loss_margin: null, "
            "at_most: {num_dead: 8}}",
            "Can initial bias, bias decay and width bring more features with a neuron of their "
            "own, a lower loss and fewer neurons than the baseline, with dead neurons at most 8?",
        ),
        (
            "{minimize: mean_bias, loss_margin: null}",
            "Can initial bias, bias decay and width bring a lower mean bias than the baseline, "
            "whatever the loss?",
        ),
        (
            "{maximize: monosemantic_per_neuron, loss_margin: 0}",
            "Can initial bias, bias decay and width bring a larger share of monosemantic neurons "
            "than the baseline, at no higher loss?",
        ),
    ],
)
def test_questions(make_spec: MakeSpec, objective: str, asked: str) -> None:
    spec = make_spec(("{maximize: monosemantic_per_feature, loss_margin: 0.5}", objective))
    assert question(spec) == asked


def test_written_where_told(finished: OpenSweep, tmp_path: Path) -> None:
    path = tmp_path / "new" / "page.html"
    write_report(finished, path)
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert [one.name for one in path.parent.iterdir()] == ["page.html"]


def test_a_place_that_cannot_be_written_is_named(finished: OpenSweep, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--output must be a file that can be written, found: "):
        write_report(finished, tmp_path / "file" / "page.html")


def test_lost_tables_are_said_to_be_lost(home: Home) -> None:
    large_sweep(home, 9, "lost")
    for path in (home.path / "results" / "lost").rglob("curves-*"):
        path.unlink()
    with pytest.raises(StorageError, match="must hold every file that the ledger names"):
        page(open_sweep("lost", home))


def test_a_thousand_trials_are_small_and_quick(home: Home) -> None:
    large_sweep(home, 1200, "large")
    started = time.process_time()
    sweep = open_sweep("large", home)
    html = page(sweep)
    took = time.process_time() - started
    assert len(html.encode()) < 5_000_000
    # About a second and a half; far from this only where something grows with the square.
    assert took < 15.0
    rows = html[html.index('id="trials"') :]
    best, _, more = rows.partition("<details>")
    assert best.count('<th scope="row">') == 50
    assert more.count('<th scope="row">') == 950
    assert "<summary>950 more</summary>" in more
    assert "200 more are in the tables: <code>monosweep export large --output DIR</code>" in more
    # Of what lies in the storage only a little is read.
    assert "8 of 1200 other search trials" in html
