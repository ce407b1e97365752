"""What ``monosweep importance`` prints for people."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Json = Mapping[str, Any]

MARK = "*"


def importance_view(found: Json) -> Group:
    """A table for each number, or why there is none, and what the tables cannot tell."""
    counts = ", ".join(f"{count} {state}" for state, count in found["trials"].items() if count)
    parts: list[RenderableType] = [
        Text.assemble((found["name"], "bold"), f"  search trials: {counts or 'none'}")
    ]
    for target in found["targets"]:
        parts += [Text(), *_target_view(target)]
    if found["trials"]["complete"] < found["min_trials"]:
        parts += [Text(), Text(_how_to_get_more(found))]
    if any(target["settings"] for target in found["targets"]):
        parts += [
            Text(),
            Text(
                f"{MARK} more than in any of {found['num_shuffles']} shufflings of the results: "
                "hardly by chance"
            ),
            Text(found["caveat"], style="dim"),
        ]
    return Group(*parts)


def _how_to_get_more(found: Json) -> str:
    """What would bring the trials that are missing."""
    num_asked = sum(found["trials"].values())
    enough = num_asked + found["min_trials"] - found["trials"]["complete"]
    said = f"For more complete trials: monosweep resume {found['name']} --num-trials {enough}"
    if found["trials"]["pruned"]:
        return f"{said}, or more, since some are stopped early."
    return f"{said}."


def _target_view(target: Json) -> list[RenderableType]:
    words = target["target"].replace("_", " ")
    title = f"{words}, the {'lower' if target['direction'] == 'minimize' else 'higher'} the better"
    if target["reason"] is not None:
        return [Text(title, style="bold"), Text(f"Nothing can be told: {target['reason']}.")]
    best = target["best"]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), title_justify="left")
    table.add_column("setting")
    table.add_column("importance", justify="right")
    table.add_column("raising it")
    table.add_column(f"the best {best['part']} has")
    for setting in target["settings"]:
        table.add_row(
            setting["name"],
            f"{setting['importance']:.0%} {MARK if setting['beyond_chance'] else ' '}",
            _direction(setting, words),
            _where(setting),
        )
    edge = "at most" if target["direction"] == "minimize" else "at least"
    count = f"The best {best['part']}: {best['num_trials']} of {target['num_trials']} trials"
    return [Text(title, style="bold"), table, Text(f"{count}, {words} {edge} {best['value']:.4g}")]


def _direction(setting: Json, words: str) -> str:
    if setting["options"] is not None:
        means = (f"{one['option']} {one['mean']:.3g}" for one in setting["options"])
        return f"mean {', '.join(means)}"
    correlation = setting["correlation"]
    if correlation is None:
        return "-"
    return f"{'raises' if correlation > 0 else 'lowers'} it ({correlation:+.2f})"


def _where(setting: Json) -> str:
    if setting["options"] is not None:
        return ", ".join(
            f"{one['option']} {one['num_best']} of {one['num_trials']}"
            for one in setting["options"]
        )
    if setting["range"] is None:
        return "not set"
    return f"{setting['range']['low']:.3g} to {setting['range']['high']:.3g}"
