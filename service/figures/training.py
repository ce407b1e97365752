"""Loss, monosemanticity and mean bias while networks were trained: the paper's training plot."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from service.figures.columns import Floats, numbers
from service.figures.picture import Picture
from service.figures.style import GREY, Look, house_style, log_numbers, log_steps

PER_FEATURE, COVERAGE = "monosemantic_per_feature", "feature_coverage"
# Losses whose largest is so many times their least are seen on a log scale only.
_WIDE = 20.0


@dataclass(frozen=True)
class Line:
    """Networks of the same settings, drawn as one line.

    Attributes:
        label: What they are called; the same for those that share an entry of the legend.
        look: How they are drawn.
        curves: Their curves, the columns of ``curves.parquet``; one network for each seed.
        is_main: Whether the line is one of those that the figure is about.
    """

    label: str
    look: Look
    curves: pa.Table
    is_main: bool


def training_figure(lines: Sequence[Line], small_print: str) -> Picture:
    """Three panels over the steps of training; lines are means over seeds, bands their range.

    Args:
        lines: What to draw, the most important first; those without curves are left out.
        small_print: Which sweep it is of.
    """
    lines = [line for line in lines if line.curves.num_rows]
    figure = Picture("What training did, step by step", small_print, 9.6, 4.1)
    with house_style():
        loss, share, bias = figure.subplots(1, 3, sharex=True)
        for line in reversed(lines):
            _draw(loss, line, "loss")
            _draw(share, line, PER_FEATURE)
            _draw(bias, line, "mean_bias")
            if line.is_main:
                _draw(share, line, COVERAGE, is_companion=True)
        last = max(float(np.max(numbers(line.curves, "step"))) for line in lines)
        values = np.concatenate([numbers(line.curves, "loss") for line in lines])
        values = values[np.isfinite(values) & (values > 0)]
        if values.size and values.max() > _WIDE * values.min():
            loss.set_yscale("log")
            log_numbers(loss.yaxis)
        bias.axhline(0.0, color=GREY, linewidth=0.8)
        for axes, title, label in (
            (loss, "Loss", "squared error, summed over outputs"),
            (share, "Monosemantic neurons", "for each feature; thin: coverage"),
            (bias, "Mean bias", "mean bias of the neurons"),
        ):
            log_steps(axes, last)
            axes.set_title(title, loc="left")
            axes.set_ylabel(label)
        figure.legend(handles=_keys(lines), loc="outside lower left", ncols=4)
    figure.finding = _finding(lines)
    return figure


def _draw(axes: Axes, line: Line, name: str, *, is_companion: bool = False) -> None:
    steps, mean, low, high = _over_seeds(line.curves, name)
    is_background = not line.is_main
    axes.plot(
        steps,
        mean,
        color=line.look.color,
        linestyle=line.look.line,
        linewidth=0.8 if is_companion else 1.0 if is_background else 1.8,
        label=line.label,
    )
    if line.is_main and not is_companion:
        axes.fill_between(steps, low, high, color=line.look.color, alpha=0.12, linewidth=0)


def _over_seeds(curves: pa.Table, name: str) -> tuple[Floats, Floats, Floats, Floats]:
    """Steps, and the mean, least and largest number of those that reached each. Shapes ``[S]``."""
    steps, values = numbers(curves, "step"), numbers(curves, name)
    known = np.isfinite(values) & (steps > 0)
    steps, values = steps[known], values[known]
    order = np.argsort(steps, kind="stable")
    unique, starts, counts = np.unique(steps[order], return_index=True, return_counts=True)
    if not unique.size:
        return unique, unique, unique, unique
    ordered = values[order]
    return (
        unique,
        np.add.reduceat(ordered, starts) / counts,
        np.minimum.reduceat(ordered, starts),
        np.maximum.reduceat(ordered, starts),
    )


def _keys(lines: Sequence[Line]) -> list[Line2D]:
    keys = {}
    for line in lines:
        keys[line.label] = Line2D(
            [], [], color=line.look.color, linestyle=line.look.line, linewidth=1.8, label=line.label
        )
    return list(keys.values())


def _finding(lines: Sequence[Line]) -> str:
    ends = []
    for line in lines:
        shares = _over_seeds(line.curves, PER_FEATURE)[1]
        losses = _over_seeds(line.curves, "loss")[1]
        if line.is_main and shares.size and losses.size:
            ends.append(
                f"{line.label} ends at loss {losses[-1]:.3f} with {shares[-1]:.2f} monosemantic "
                "neurons for each feature"
            )
    return f"{'; '.join(ends[:3])}." if ends else "Curves of the trials named below it."
