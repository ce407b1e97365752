"""The views that a sweep brings; see tests/browser for the pages that they make."""

import base64
import json
import zlib
from collections.abc import Callable
from typing import Any

from service.tracking import Facts
from service.tracking.views import View, link, views

# MLflow's limit for the value of an experiment's tag.
MAX_TAG = 5000
SPACE = (
    "search_space: bias_and_width",
    "search_space: {initial_bias: {float: [-1.0, 0.0]}, nonlinearity: {choice: [relu, gelu]}}",
)


def state(view: View) -> dict[str, Any]:
    """What MLflow's pages make of a view's tag."""
    key, value = view.tag(1234)
    assert key == f"mlflow.sharedViewState.{view.key}"
    assert len(value) < MAX_TAG
    envelope = json.loads(value)
    assert (envelope["name"], envelope["createdAt"]) == (view.name, 1234)
    packed = envelope["state"].removeprefix("deflate;")
    found: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return found


def test_every_view_orders_by_the_objective_and_has_its_column(
    make_facts: Callable[..., Facts],
) -> None:
    for view in views(make_facts("viewed")):
        found = state(view)
        assert found["orderByKey"] == "metrics.`monosemantic_per_feature`"
        assert found["orderByAsc"] is False
        assert found["selectedColumns"][0] == "metrics.`monosemantic_per_feature`"
        assert set(found["columnWidths"]) == set(found["columnOrder"])
        sections = {section["uuid"] for section in found["compareRunSections"]}
        assert {chart["metricSectionId"] for chart in found["compareRunCharts"]} <= sections
        ids = [chart["uuid"] for chart in found["compareRunCharts"]]
        assert len(set(ids)) == len(ids)


def test_curves_are_on_a_log_scale_of_steps(make_facts: Callable[..., Facts]) -> None:
    found = state(views(make_facts("viewed"))[0])
    lines = [chart for chart in found["compareRunCharts"] if chart["type"] == "LINE"]
    assert [line["metricKey"] for line in lines][:2] == ["loss", "monosemantic_per_feature"]
    assert {(line["xAxisKey"], line["xAxisScaleType"]) for line in lines} == {("step", "log")}


def test_what_is_minimised_comes_smallest_first_and_a_width_is_a_setting(
    make_facts: Callable[..., Facts],
) -> None:
    facts = make_facts("viewed", ("maximize: monosemantic_per_feature", "minimize: num_neurons"))
    found = state(views(facts)[0])
    assert (found["orderByKey"], found["orderByAsc"]) == ("metrics.`param.num_neurons`", True)
    assert len(set(found["selectedColumns"])) == len(found["selectedColumns"])


def test_settings_that_are_words_are_params_and_numbers_are_metrics(
    make_facts: Callable[..., Facts],
) -> None:
    found = state(views(make_facts("viewed", SPACE))[0])
    assert {"params.`nonlinearity`", "metrics.`param.initial_bias`"} <= set(
        found["selectedColumns"]
    )
    (parallel,) = [one for one in found["compareRunCharts"] if one["type"] == "PARALLEL"]
    assert parallel["selectedParams"] == ["nonlinearity"]
    assert parallel["selectedMetrics"] == [
        "param.initial_bias",
        "loss_ratio",
        "monosemantic_per_feature",
    ]


def test_a_link_names_the_view_and_the_page() -> None:
    assert link("search", "7", charts=True) == (
        "#/experiments/7/runs?viewStateShareKey=search&compareRunsMode=CHART"
        "&workflowType=machine_learning"
    )
