"""How much each setting had to do with reaching the best trials."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from service.figures.picture import Picture
from service.figures.style import BLUE, house_style
from service.objective import in_words

Json = Mapping[str, Any]


def importance_figure(targets: Sequence[Json], small_print: str) -> Picture:
    """A panel of bars for each number, the most important setting first.

    Args:
        targets: What ``service.importance.answers`` told; those of which nothing can be told are
            left out, and there is at least one other.
        small_print: Which sweep it is of.
    """
    told = [target for target in targets if target["settings"]]
    most = max(len(target["settings"]) for target in told)
    figure = Picture(
        "Which settings mattered", small_print, 0.8 + 4.2 * len(told), 1.6 + 0.34 * most
    )
    with house_style():
        panels = figure.subplots(1, len(told), squeeze=False)[0]
        for axes, target in zip(panels, told, strict=True):
            _draw(axes, target)
        is_marked = [one["beyond_chance"] for target in told for one in target["settings"]]
        if None not in is_marked:
            keys = [
                Patch(facecolor=BLUE, edgecolor=BLUE, label="hardly by chance"),
                Patch(facecolor="none", edgecolor=BLUE, hatch="////", label="may be by chance"),
            ]
            figure.legend(handles=keys, loc="outside lower left", ncols=2)
    figure.finding = " ".join(_finding(target) for target in told)
    return figure


def _draw(axes: Axes, target: Json) -> None:
    settings = target["settings"]
    for place, setting in enumerate(settings):
        is_sure = setting["beyond_chance"] is not False
        axes.barh(
            place,
            setting["importance"],
            height=0.6,
            facecolor=BLUE if is_sure else "none",
            edgecolor=BLUE,
            hatch=None if is_sure else "////",
        )
        axes.annotate(
            f"{setting['importance']:.0%}",
            (setting["importance"], place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            size=8,
        )
    axes.set_yticks(
        range(len(settings)), [setting["name"].replace("_", " ") for setting in settings]
    )
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.12)
    axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0], ["0%", "25%", "50%", "75%", "100%"])
    axes.grid(visible=False, axis="y")
    end = "lowest" if target["direction"] == "minimize" else "highest"
    axes.set_title(f"{in_words(target['target'])}, the {end} {target['best']['part']}", loc="left")
    axes.set_xlabel("share of the importance")


def _finding(target: Json) -> str:
    words = in_words(target["target"])
    sure = [setting for setting in target["settings"] if setting["beyond_chance"] is not False]
    if not sure:
        return f"For {words} no setting surely mattered, of {target['num_trials']} trials."
    first = sure[0]
    way = ""
    if first["correlation"] is not None:
        moves = "raises" if first["correlation"] > 0 else "lowers"
        way = f"; raising it {moves} it (rank correlation {first['correlation']:+.2f})"
    return (
        f"For {words} {first['name'].replace('_', ' ')} mattered most "
        f"({first['importance']:.0%}, over {target['num_trials']} trials{way})."
    )
