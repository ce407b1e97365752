"""Saved views of MLflow's pages: which runs, columns and charts a sweep opens with.

MLflow shows no number beside a run's name until somebody picks columns, charts the ten newest runs,
and draws steps on a linear axis. Its pages keep what a user makes of them as named views, each a
tag of the experiment, so a sweep brings some of its own: they are in the menu *Views*, and behind
links in the experiment's description.

Source: ``mlflow/server/js`` of MLflow 3.17, whose state of the runs' page these are fields of.
"""

import base64
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from search_spaces import Choice
from service.objective import LOSS_RATIO, NUM_NEURONS, Goal, Objective
from service.tracking.facts import Facts

# The one to begin with.
FIRST_VIEW = "search"

# The curves that say most, two beside each other: the paper's training plot, and the honest
# companion of its second number.
CURVES = ("loss", "monosemantic_per_feature", "feature_coverage", "mean_bias")
_RUN_NAME = "attributes.`Run Name`"
# Runs that are charted at once; more are not told apart by colour.
_CHARTED = "FIRST_20_RUNS"


def tag_of(key: str) -> str:
    """The experiment's tag that holds a view."""
    return f"mlflow.sharedViewState.{key}"


def link(key: str, experiment_id: str, *, charts: bool = False) -> str:
    """Where MLflow shows a view, as a part of a URL that begins with ``#``."""
    query = {
        "viewStateShareKey": key,
        "compareRunsMode": "CHART" if charts else "TABLE",
        # Else MLflow offers pages for language models beside it.
        "workflowType": "machine_learning",
    }
    return f"#/experiments/{experiment_id}/runs?{urlencode(query)}"


@dataclass(frozen=True, kw_only=True)
class View:
    """A way to look at a sweep's runs.

    Attributes:
        key: Names it in links.
        name: Names it in the menu.
        filter: Which runs, as MLflow's search takes it.
        goal: What runs are ordered by, the best first.
        columns: Metrics, params and tags beside a run's name: ``metrics.loss``.
        charts: What the charts' page shows, section by section.
        group_by: The tag whose values runs are put together by, or None.
    """

    key: str
    name: str
    filter: str
    goal: Goal
    columns: tuple[str, ...]
    charts: tuple["Section", ...]
    group_by: str | None = None

    def tag(self, at: int) -> tuple[str, str]:
        """The experiment's tag that makes MLflow know it.

        Args:
            at: When the sweep's experiment was made, in milliseconds.
        """
        packed = base64.b64encode(zlib.compress(json.dumps(self._state()).encode(), 9)).decode()
        value = {"name": self.name, "createdAt": at, "updatedAt": at, "state": f"deflate;{packed}"}
        return tag_of(self.key), json.dumps(value)

    def _state(self) -> dict[str, Any]:
        columns = [_quoted(column) for column in self.columns]
        return {
            "searchFilter": self.filter,
            "orderByKey": f"metrics.`{_metric(self.goal.name)}`",
            "orderByAsc": self.goal.direction == "minimize",
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "selectedColumns": columns,
            "columnOrder": [_RUN_NAME, *columns],
            "columnWidths": {_RUN_NAME: 370, **{column: _width(column) for column in columns}},
            "runsHiddenMode": _CHARTED,
            "isAccordionReordered": True,  # the sections keep their order
            "compareRunSections": [
                *(section.as_json() for section in self.charts),
                # All other numbers, closed.
                {"uuid": "rest", "name": "", "display": False, "isReordered": False},
            ],
            "compareRunCharts": [
                {**chart, "uuid": f"{section.name}-{place}", "metricSectionId": section.name}
                for section in self.charts
                for place, chart in enumerate(section.charts)
            ],
            "groupBy": {
                "aggregateFunction": "average",
                "groupByKeys": [{"mode": "tag", "groupByData": self.group_by}],
            }
            if self.group_by
            else None,
        }


@dataclass(frozen=True)
class Section:
    """Charts under one heading.

    Attributes:
        name: The heading.
        charts: As MLflow's pages describe charts.
        columns: Charts beside each other.
    """

    name: str
    charts: tuple[dict[str, Any], ...]
    columns: int = 2

    def as_json(self) -> dict[str, Any]:
        """As MLflow's pages describe a section, open."""
        return {
            "uuid": self.name,
            "name": self.name,
            "display": True,
            "isReordered": True,
            "columns": self.columns,
        }


def views(facts: Facts) -> tuple[View, ...]:
    """The views that a sweep brings."""
    objective, varied = facts.objective, facts.spec.space.varied
    words = [
        name
        for name, parameter in varied.items()
        if isinstance(parameter, Choice) and any(isinstance(one, str) for one in parameter.options)
    ]
    numbers = [name for name in varied if name not in words]
    goal = objective.first
    results = list(
        dict.fromkeys([*map(_metric, objective.names), "loss", LOSS_RATIO, *CURVES[1:3]])
    )
    columns = (
        *(f"metrics.{name}" for name in results),
        *(f"metrics.param.{name}" for name in numbers if f"param.{name}" not in results),
        *(f"params.{name}" for name in words),
    )
    together = Section("Settings and results", (_parallel(objective, numbers, words),), columns=1)
    alone = Section("One thing at a time", tuple(_scatters(objective, numbers)))
    training = Section("Training", tuple(map(_over_steps, CURVES)))
    return (
        View(
            key=FIRST_VIEW,
            name="Search, best first",
            filter="tags.phase = 'search'",
            columns=(*columns, "tags.state", "tags.feasible"),
            charts=(training, together, alone),
            goal=goal,
        ),
        View(
            key="feasible",
            name="Within every limit",
            filter="tags.feasible = 'true'",
            columns=columns,
            charts=(together, alone, training),
            goal=goal,
        ),
        View(
            key="confirmation",
            name="Confirmation",
            filter="tags.phase = 'confirmation'",
            columns=(*columns, "tags.role"),
            charts=(training,),
            group_by="role",
            goal=goal,
        ),
    )


def _metric(name: str) -> str:
    """The metric that a number of a sweep file is; the width is a setting."""
    return f"param.{name}" if name == NUM_NEURONS else name


def _quoted(column: str) -> str:
    kind, _, name = column.partition(".")
    return f"{kind}.`{name}`"


def _width(column: str) -> int:
    """Pixels that show a column's whole heading."""
    return max(90, 24 + round(7.7 * len(column.partition(".")[2].strip("`"))))


def _over_steps(metric: str) -> dict[str, Any]:
    return {
        "type": "LINE",
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "xAxisKey": "step",
        "xAxisScaleType": "log",
        "useGlobalXaxisKey": False,
        "lineSmoothness": 0,
        "useGlobalLineSmoothing": False,
        "displayPoints": True,
        "scaleType": "linear",
        "range": {},
        "yAxisKey": "metric",
        "yAxisExpressions": [],
    }


def _parallel(objective: Objective, numbers: Sequence[str], words: Sequence[str]) -> dict[str, Any]:
    """All swept settings beside what came of them, a line for each trial."""
    settings = [f"param.{name}" for name in numbers]
    # The last one colours the lines.
    results = dict.fromkeys([LOSS_RATIO, *map(_metric, reversed(objective.names))])
    return {
        "type": "PARALLEL",
        "selectedParams": list(words),
        "selectedMetrics": [*settings, *(name for name in results if name not in settings)],
        "showAllRuns": True,
    }


def _scatters(objective: Objective, numbers: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The objective against the loss ratio, and against each setting."""
    goal = _metric(objective.first.name)
    for other in (LOSS_RATIO, *(f"param.{name}" for name in numbers)):
        if other != goal:
            yield {
                "type": "SCATTER",
                "xaxis": {"key": other, "type": "METRIC"},
                "yaxis": {"key": goal, "type": "METRIC"},
            }
