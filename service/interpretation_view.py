"""What ``monosweep interpret`` prints for people: the finding first, then what it stands on."""

import math
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.interpreted import Interpreted
from trainers.interpretation import HELD_OUT


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
            "Losses: squared error summed over outputs, mean over samples in which so many features "
            "are active. Tables of every neuron and feature: --output DIR",
            style="dim",
        ),
    ]
    return Group(*parts)


def _parts_table(rows: list[Mapping[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), title_justify="left")
    table.add_column("neurons together")
    for column in ("number", "effective\nrank", "likeness", "by\nchance", "at\nbest", "spread"):
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
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), title_justify="left")
    table.add_column("active\nfeatures", justify="right")
    for column in ("loss", "answering\nzero"):
        table.add_column(column, justify="right")
    for part in ("polysemantic", "diffuse"):
        table.add_column(f"without\n{part}", justify="right")
        table.add_column("as many\nmonosemantic", justify="right")
    whole, diffuse = ([row for row in rows if row["part"] == part] for part in _PARTS)
    for all_of_them, some in zip(whole, diffuse, strict=True):
        count = all_of_them["num_active"]
        table.add_row(
            "as trained" if count == HELD_OUT else str(count),
            _number(all_of_them["loss"]),
            _number(all_of_them["loss_of_zero"]),
            *(
                _number(row[name])
                for row in (all_of_them, some)
                for name in ("without", "without_monosemantic")
            ),
        )
    return table


_PARTS = ("polysemantic", "diffuse")


def _number(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return "-" if math.isnan(value) else f"{value:.4g}"
