"""What decides: loss ratio and objective of the baseline and the finalists, with intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from service.figures.picture import Picture
from service.figures.style import (
    BLACK,
    BLUE,
    GREY,
    VERMILION,
    house_style,
    key_line,
    limit_line,
)
from service.objective import LOSS_RATIO, in_words
from service.standing import (
    BESIDE,
    FAILS,
    PASSES,
    REFERENCE,
    WINNER,
    is_finalist,
    rows_of,
    standing,
)

Json = Mapping[str, Any]

_LOOKS = {
    WINNER: (BLUE, "*", True),
    PASSES: (BLUE, "o", True),
    FAILS: (VERMILION, "X", False),
    REFERENCE: (BLACK, "s", True),
    BESIDE: (GREY, "D", False),
}


def confirmation_figure(verdict: Json, small_print: str) -> Picture:
    """Every confirmed setting a row, its loss ratio and objectives side by side.

    Args:
        verdict: A verdict with a baseline and at least one setting beside it.
        small_print: Which sweep it is of.
    """
    rows = rows_of(verdict)
    names = [LOSS_RATIO, *(goal["name"] for goal in verdict["objectives"])]
    names = [name for name in dict.fromkeys(names) if any(row.get(name) for row in rows)]
    is_single = len(verdict["objectives"]) == 1
    num_panels = len(names) + is_single
    figure = Picture(
        f"Confirmed on {verdict['num_seeds']} seeds that the search never saw",
        f"{small_print}; bars: 95% intervals of the mean, seed by seed; what decides is corrected "
        f"for {verdict['num_confirmed']} settings",
        1.8 + 2.7 * num_panels,
        1.75 + 0.36 * len(rows),
    )
    with house_style():
        panels = figure.subplots(1, num_panels, sharey=True, squeeze=False)[0]
        for axes, name in zip(panels, names, strict=False):
            _draw(axes, rows, [row.get(name) for row in rows], verdict)
            axes.set_title(in_words(name), loc="left")
            axes.set_xlabel(_LABELS.get(name, in_words(name)))
            if name == LOSS_RATIO:
                axes.axvline(1.0, color=GREY, linewidth=0.8)
            for limit in verdict["limits"]:
                bounds = [limit[word] for word in ("at_most", "at_least") if word in limit]
                for bound in bounds if limit["name"] == name else []:
                    limit_line(axes, bound, is_upright=True)
        if is_single:
            goal = verdict["objectives"][0]
            _draw(panels[-1], rows, [row["gain"] for row in rows], verdict)
            limit_line(panels[-1], 0.0, is_upright=True)
            panels[-1].set_title("gain over the baseline", loc="left")
            panels[-1].set_xlabel(f"better {in_words(goal['name'])}")
        panels[0].set_yticks(range(len(rows)), [_label(row) for row in rows])
        panels[0].set_ylim(len(rows) - 0.5, -0.5)
        figure.legend(handles=_keys(rows, verdict), loc="outside lower left", ncols=5)
    figure.finding = _finding(verdict)
    return figure


_LABELS = {
    LOSS_RATIO: "loss over the baseline's",
    "monosemantic_per_feature": "neurons for each feature",
    "monosemantic_per_neuron": "of all neurons",
}


def _label(row: Json) -> str:
    return f"{row['role']} ({row['num_neurons']} neurons)"


def _draw(axes: Axes, rows: Sequence[Json], intervals: Sequence[Any], verdict: Json) -> None:
    for place, (row, interval) in enumerate(zip(rows, intervals, strict=True)):
        if interval is None:
            continue
        color, marker, is_filled = _LOOKS[standing(row, verdict)]
        if isinstance(interval, int | float):
            # A width is known: it has no interval.
            interval = {"mean": interval, "low": interval, "high": interval}  # noqa: PLW2901
        mean = interval["mean"]
        axes.errorbar(
            mean,
            place,
            xerr=[[mean - interval["low"]], [interval["high"] - mean]],
            color=color,
            marker=marker,
            markersize=11 if marker == "*" else 6,
            markerfacecolor=color if is_filled else "white",
            capsize=3,
            linewidth=1.4,
        )
    axes.grid(visible=False, axis="y")


def _keys(rows: Sequence[Json], verdict: Json) -> list[Line2D]:
    found = dict.fromkeys(standing(row, verdict) for row in rows)
    keys = []
    for word in (word for word in _LOOKS if word in found):
        color, marker, is_filled = _LOOKS[word]
        keys.append(
            Line2D(
                [],
                [],
                linestyle="none",
                marker=marker,
                color=color,
                markerfacecolor=color if is_filled else "white",
                markersize=10 if marker == "*" else 6,
                label=word,
            )
        )
    return [*keys, key_line("limit, or no gain")]


def _finding(verdict: Json) -> str:
    finalists = [row for row in verdict["finalists"] if is_finalist(row)]
    passing = sum(row["passes"] for row in finalists)
    said = f"{passing} of {len(finalists)} finalists pass: surely within every limit, surely better"
    best = verdict["winner"]
    if best is None or best["loss_ratio"] is None or best["gain"] is None:
        return f"{said}."
    ratio, gain = best["loss_ratio"], best["gain"]
    return (
        f"{said}. The winner, {best['trial']}, has a loss ratio of {ratio['mean']:.3f} "
        f"({ratio['low']:.3f} to {ratio['high']:.3f}) and a gain of {gain['mean']:+.3g} "
        f"({gain['low']:+.3g} to {gain['high']:+.3g})."
    )
