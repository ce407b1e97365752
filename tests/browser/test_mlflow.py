"""MLflow's pages on a sweep, as a stranger sees them: a real browser, a real server."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest
from mlflow import MlflowClient
from mlflow_server import MlflowServer

from service.tracking import Facts, Projection
from service.tracking.names import standings
from service.trials import Trial

MakeTrial = Callable[..., Trial]
WIDTHS = (1280, 1920)
NUM_SEARCHED = 12
NUM_STEPS = 9  # 1, 2, 4, ... 256
CURVES = ("loss", "monosemantic_per_feature", "feature_coverage", "mean_bias")


def curves(trial: Trial, last: float) -> pa.Table:
    """A loss that falls to ``2 - last`` and neurons that become monosemantic."""
    shares = [step / (NUM_STEPS - 1) for step in range(NUM_STEPS)]
    return pa.table(
        {
            "trial_id": [trial.trial_id] * NUM_STEPS,
            "replicate": [0] * NUM_STEPS,
            "seed": [trial.seeds[0]] * NUM_STEPS,
            "step": [2**power for power in range(NUM_STEPS)],
            "loss": [4.0 - (2.0 + last) * share for share in shares],
            "monosemantic_per_feature": [last * share**2 for share in shares],
            "feature_coverage": [0.8 * last * share**2 for share in shares],
            "mean_bias": [-last * share for share in shares],
        }
    )


@dataclass(frozen=True)
class Shown:
    """A sweep in MLflow.

    Attributes:
        base: Where its pages begin.
        experiment_id: MLflow's.
        runs: Run ids by trial, the summary's by ``summary``.
    """

    base: str
    experiment_id: str
    runs: dict[str, str]

    def view(self, key: str, mode: str) -> str:
        """Where one of the sweep's views is."""
        return (
            f"{self.base}/#/experiments/{self.experiment_id}/runs?viewStateShareKey={key}"
            f"&compareRunsMode={mode}&workflowType=machine_learning"
        )


def searched(make_trial: MakeTrial, number: int) -> Trial:
    """The higher its number, the better; the first was stopped, the second is infeasible."""
    last = number / NUM_SEARCHED
    state = "pruned" if number == 0 else "complete"
    return make_trial(
        "search",
        number,
        state=state,
        reason="stopped at step 64: rank 4 of 4" if number == 0 else None,
        settings={
            "initial_bias": 0.0 - last,
            "bias_decay": last / 10,
            "num_neurons": 64 + 8 * number,
        },
        loss_ratio={0: None, 1: 1.7}.get(number, 1.0 - last / 4),
        loss=2.0 - last,
        monosemantic_per_feature=last,
    )


@pytest.fixture(scope="module")
def shown(
    make_trial: MakeTrial, make_facts: Callable[..., Facts], tmp_path_factory: Any
) -> Iterator[Shown]:
    """A baseline, a search and a confirmation, and a summary with a figure."""
    trials = [
        make_trial("baseline", 0, loss=2.0, monosemantic_per_feature=0.1),
        *(searched(make_trial, number) for number in range(NUM_SEARCHED)),
        *(
            make_trial("confirmation", number, seeds=(number,), role=role, loss=1.5)
            for number, role in enumerate(("baseline", "baseline", "search/11", "search/11"))
        ),
    ]
    winner = {"trial": "search/11", "params": {"initial_bias": -0.9}}
    verdict: dict[str, Any] = {
        "confirmed": True,
        "sentence": "search/11 wins.",
        "loss_margin": 0.5,
        "loss_ratio": {"mean": 0.8, "low": 0.7, "high": 0.9},
        "gain": None,
        "baseline": {"loss": {"mean": 2.0, "low": 1.9, "high": 2.1}},
        "winner": winner,
        "finalists": [{"role": "search/11", "is_finalist": True}],
    }
    folder = tmp_path_factory.mktemp("attached")
    (folder / "figures").mkdir()
    (folder / "figures" / "loss.png").write_bytes(figure())
    with closing(MlflowServer()) as server:
        server.start()
        projection = Projection(server.uri, None, make_facts("shown"))
        runs = {}
        for trial in trials:
            last = (trial.number + 1) / NUM_SEARCHED
            runs[trial.trial_id] = projection.project_trial(trial, curves(trial, last))
        projection.stand(standings(None, verdict), {trial.trial_id: trial for trial in trials})
        projection.project_summary("name: shown\n", verdict, "FINISHED", num_ended=NUM_SEARCHED)
        projection.attach(folder)
        found = MlflowClient(server.uri).search_runs(
            [projection.experiment_id], "tags.`monosweep.summary` = 'shown'"
        )
        runs["summary"] = found[0].info.run_id
        yield Shown(server.uri, projection.experiment_id, runs)


def figure() -> bytes:
    """A picture of 300 by 200 pixels."""
    import io

    import matplotlib.figure

    drawn = matplotlib.figure.Figure(figsize=(3, 2), dpi=100)
    drawn.subplots().plot([1, 2, 4], [4.0, 3.0, 2.0])
    content = io.BytesIO()
    drawn.savefig(content, format="png")
    return content.getvalue()


def names(page: Any) -> list[str]:
    """The runs that the page lists, from the top."""
    return list(page.get_by_role("link", name="search/").all_inner_texts())


@pytest.mark.parametrize("width", WIDTHS)
def test_the_search_is_a_table_of_what_decides_the_best_first(
    visit: Any, shown: Shown, width: int
) -> None:
    seen = visit(shown.view("search", "TABLE"), width)
    seen.page.get_by_text(f"{NUM_SEARCHED} matching runs").wait_for()
    seen.page.get_by_role("link", name="search/11 winner").wait_for()
    assert names(seen.page)[:2] == [
        "search/11 winner: bias -0.917 decay 0.0917 k 152",
        "search/10: bias -0.833 decay 0.0833 k 144",
    ]
    assert "search/0 stopped at 256: bias 0 decay 0 k 64" in names(seen.page)
    assert "search/1 infeasible: bias -0.0833 decay 0.00833 k 72" in names(seen.page)
    for column in ("monosemantic_per_feature", "loss_ratio"):
        heading = seen.page.get_by_role("columnheader", name=column, exact=True).first
        assert heading.is_visible()
    first = seen.page.locator(".ag-center-cols-container .ag-row[row-index='0']").inner_text()
    assert "0.770833" in first  # 1 - (11/12) / 4
    seen.keep("table")
    assert seen.hosts == {"127.0.0.1"}


def test_the_experiment_opens_with_links_to_its_views(visit: Any, shown: Shown) -> None:
    seen = visit(f"{shown.base}/#/experiments/{shown.experiment_id}/runs")
    seen.page.get_by_text("Look at:").wait_for()
    seen.keep("experiment")
    with seen.page.expect_popup() as opened:
        seen.page.get_by_role("link", name="table").first.click()
    opened.value.get_by_text(f"{NUM_SEARCHED} matching runs").wait_for()
    opened.value.get_by_role("link", name="search/11 winner").wait_for()


def test_a_filter_leaves_what_is_asked_for(visit: Any, shown: Shown) -> None:
    seen = visit(shown.view("search", "TABLE"))
    # Not before the page has its rows: with them it fills the box itself.
    seen.page.get_by_text(f"{NUM_SEARCHED} matching runs").wait_for()
    box = seen.page.get_by_placeholder("metrics.rmse")
    box.fill("metrics.loss_ratio < 0.85 and tags.phase = 'search'")
    box.press("Enter")
    # 1 - n/48 below 0.85: n of 8 to 11.
    seen.page.get_by_text("4 matching runs").wait_for()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_charts_are_curves_over_steps_on_a_log_scale(
    visit: Any, shown: Shown, width: int
) -> None:
    seen = visit(shown.view("search", "CHART"), width)
    seen.page.get_by_text("Training", exact=True).wait_for()
    for name in CURVES:
        card = seen.page.get_by_test_id("experiment-view-compare-runs-card").filter(has_text=name)
        card.first.scroll_into_view_if_needed()
        card.first.locator(".scatterlayer .trace .js-line").nth(NUM_SEARCHED - 1).wait_for(
            state="attached"
        )
        ticks = [text.strip() for text in card.first.locator(".xtick").all_text_contents()]
        assert [tick for tick in ticks if tick in ("1", "10", "100")] == ["1", "10", "100"], ticks
    seen.page.get_by_text("Training", exact=True).scroll_into_view_if_needed()
    seen.keep("charts")


def test_parallel_coordinates_have_an_axis_for_each_setting_and_result(
    visit: Any, shown: Shown
) -> None:
    seen = visit(shown.view("feasible", "CHART"))
    seen.page.get_by_text("Settings and results", exact=True).wait_for()
    axes = seen.page.locator(".parcoords .dimension")
    axes.first.wait_for()
    assert axes.count() == 5  # three settings, the loss ratio, the objective
    seen.keep("parallel")


def test_the_confirmation_is_a_group_for_each_whom_it_is_about(visit: Any, shown: Shown) -> None:
    seen = visit(shown.view("confirmation", "TABLE"))
    seen.page.get_by_text("4 matching runs").wait_for()
    for role in ("baseline", "search/11"):
        seen.page.get_by_text(f"Group: {role}").wait_for()
    seen.keep("confirmation")


@pytest.mark.parametrize("width", WIDTHS)
def test_five_trials_are_compared(visit: Any, shown: Shown, width: int) -> None:
    chosen = quote(json.dumps([shown.runs[f"search/{number}"] for number in range(7, 12)]))
    within = quote(json.dumps([shown.experiment_id]))
    seen = visit(f"{shown.base}/#/compare-runs?runs={chosen}&experiments={within}", width)
    seen.page.get_by_text("Comparing 5 Runs from 1 Experiment").wait_for()
    for number in range(7, 11):
        seen.page.get_by_text(f"search/{number}: bias").wait_for()
    # The plot that it opens with colours by the objective, over what differs.
    axes = seen.page.locator(".axis-title")
    axes.nth(3).wait_for()
    assert axes.all_text_contents() == [
        "bias_decay",
        "initial_bias",
        "num_neurons",
        "monosemantic_per_feature",
    ]
    seen.keep("compare")
    text = seen.page.locator("body").inner_text()
    assert "task.num_features" in text
    assert "training.num_steps" in text


def test_a_run_says_what_it_is_and_the_summary_what_came_of_all(visit: Any, shown: Shown) -> None:
    runs = f"{shown.base}/#/experiments/{shown.experiment_id}/runs"
    seen = visit(f"{runs}/{shown.runs['search/11']}")
    seen.page.get_by_text("Trial 11 of the search of the sweep shown").wait_for()
    seen.keep("run")
    seen = visit(f"{runs}/{shown.runs['summary']}")
    seen.page.get_by_text("search/11 wins.").wait_for()
    seen.keep("summary")


def test_a_figure_shows_itself(visit: Any, shown: Shown) -> None:
    run_id = shown.runs["summary"]
    pages = f"{shown.base}/#/experiments/{shown.experiment_id}/runs/{run_id}"
    seen = visit(f"{pages}/artifacts/figures/loss.png")
    picture = seen.page.locator("img[src^='blob:'], img[src*='loss.png'], img[src^='data:image']")
    picture.first.wait_for()
    seen.page.wait_for_function(
        "() => [...document.images].some(one => one.naturalWidth === 300 && one.complete)"
    )
    for name in ("sweep.yaml", "verdict.json", "figures"):
        seen.page.get_by_text(name).first.wait_for()
    seen.keep("artifact")
