"""What the answer rests on: the confirmed settings in a table, and the figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from service.objective import LOSS_RATIO, NUM_NEURONS, in_words
from service.opened import OpenSweep
from service.report.figure import shown
from service.report.section import Section, rendered
from service.report.words import interval, short
from service.standing import rows_of, standing

# Settings of which every confirmed row has a column; the others only where they differ.
_ALWAYS = ("initial_bias", "bias_decay")
# What has columns of its own.
_SHOWN = (LOSS_RATIO, NUM_NEURONS, "feature_coverage")


def confirmed(sweep: OpenSweep) -> Section | None:
    """The confirmed settings beside the baseline, as numbers and as intervals."""
    verdict = sweep.record.verdict
    if verdict is None or verdict["baseline"] is None:
        return None
    rows = rows_of(verdict)
    names = [name for name in dict.fromkeys(sweep.objective.names) if name not in _SHOWN]
    settings = _varying(rows)
    gained = sweep.objective.first.words
    body = rendered(
        "confirmed.html",
        columns=["setting", "outcome", "neurons", "loss ratio"]
        + [in_words(name) for name in names]
        + [f"gain in {gained}", "coverage", *(name.replace("_", " ") for name in settings)],
        rows=[
            [
                row["role"],
                standing(row, verdict),
                row["num_neurons"],
                interval(row["loss_ratio"]),
                *(_measured(row.get(name)) for name in names),
                interval(row["gain"]),
                _measured(row.get("feature_coverage")),
                *(short(row["settings"].get(name)) for name in settings),
            ]
            for row in rows
        ],
        num_seeds=verdict["num_seeds"],
        shortfalls=[(row["role"], row["shortfalls"]) for row in rows if row["shortfalls"]],
        figures=_figures(sweep, "confirmation"),
    )
    return Section("confirmed", "Confirmed on fresh seeds", body)


def _varying(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    names = [name for name in rows[0]["settings"] if name != NUM_NEURONS]
    return [
        name
        for name in names
        if name in _ALWAYS or len({row["settings"].get(name) for row in rows}) > 1
    ]


def _measured(value: object) -> str:
    return interval(value) if isinstance(value, dict) else short(value)


def searched(sweep: OpenSweep) -> Section:
    """What the search found: the front, the settings, and which of these mattered."""
    return _of_figures(sweep, "search", "What the search found", "front", "settings", "importance")


def trained(sweep: OpenSweep) -> Section:
    """What training did to the networks."""
    return _of_figures(sweep, "training", "What training did", "training", "neurons", "activations")


def _of_figures(sweep: OpenSweep, anchor: str, heading: str, *names: str) -> Section:
    absent = [(name, sweep.figures.absent[name]) for name in names if name in sweep.figures.absent]
    body = rendered("figures.html", figures=_figures(sweep, *names), absent=absent)
    return Section(anchor, heading, body)


def _figures(sweep: OpenSweep, *names: str) -> list[object]:
    return [shown(sweep.figures, name) for name in names if name in sweep.figures]
