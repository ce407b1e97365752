"""What ``monosweep interpret`` prints for people: the finding first, then what it stands on."""

import math
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.interpreted import Interpreted
from trainers.interpretation.removal import HELD_OUT


def interpretation_view(found: Interpreted) -> Group:
    """The paragraph, where the network is from, and three small tables."""
    settings = ", ".join(f"{name} {_number(value)}" for name, value in found.settings.items())
    parts: list[RenderableType] = [
        Text.assemble((found.trial_id, "bold"), f"  {found.origin}"),
        Text(settings, style="dim"),
        Text(),
        Text(found.finding, style="green"),
        Text(),
        _parts_table(found.rows("parts")),
        _removal_table(found.rows("removal")),
        Text(
            "Likeness: cosine to the best identity of the effective rank. "
            "Losses: squared error summed over outputs, mean over samples in which so many "
            "features are active. Tables of every neuron and feature: --output DIR",
            style="dim",
        ),
    ]
    return Group(*parts)


def _parts_table(rows: list[Mapping[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), title_justify="left")
    table.add_column("neurons together")
    for column in ("number", "effective\nrank", "likeness", "chance,\nmean", "at\nbest", "spread"):
        table.add_column(column, justify="right")
    for row in rows:
        named = ("likeness", "likeness_by_chance", "best_likeness", "spread")
        table.add_row(
            row["part"],
            str(row["num_neurons"]),
            f"{row['effective_rank']:.1f} of {row['largest_rank']}",
            *(_number(row[name]) for name in named),
        )
    return table


def _removal_table(rows: list[Mapping[str, Any]]) -> Table:
    """Losses by the number of active features; what could not be compared has no column."""
    by_part = {part: [row for row in rows if row["part"] == part] for part in _PARTS}
    whole = by_part["polysemantic"]
    columns = {"loss": _column(whole, "loss"), "answering\nzero": _column(whole, "loss_of_zero")}
    for part, mine in by_part.items():
        columns[f"without\n{part}"] = _column(mine, "without")
        columns[f"as many\nmonosem. as {part}"] = _column(mine, "without_monosemantic")
    shown = {title: values for title, values in columns.items() if not all(map(math.isnan, values))}
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), title_justify="left")
    for title in ("active\nfeatures", *shown):
        table.add_column(title, justify="right", no_wrap=True)
    for row, *losses in zip(whole, *shown.values(), strict=True):
        count = row["num_active"]
        if count <= MOST_ACTIVE_SHOWN:
            called = "the task's" if count == HELD_OUT else str(count)
            table.add_row(called, *map(_number, losses))
    return table


def _column(rows: list[Mapping[str, Any]], name: str) -> list[float]:
    return [row[name] for row in rows]


# Far more than a task ever shows tell nothing.
MOST_ACTIVE_SHOWN = 32
_PARTS = ("polysemantic", "diffuse")


def _number(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return "-" if math.isnan(value) else f"{value:.3g}"
