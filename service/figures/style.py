"""How every figure looks: colours that the colour-blind tell apart, each with a mark of its own.

So they read in black and white too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import PathCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from numpy.typing import ArrayLike

# The palette of Okabe and Ito (2008), without its yellow, which is too light for a mark.
BLACK, GREY, LIGHT = "#000000", "#767676", "#c4c4c4"
ORANGE, SKY, GREEN = "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

# Marks in one panel from which on they are drawn as one image: paths would be megabytes of SVG.
MOST_PATHS = 400

_SETTINGS = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 9.0,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "hatch.linewidth": 0.8,
    # A dollar is a dollar: names that somebody wrote are no formulas.
    "text.parse_math": False,
    # Text stays text: it can be searched, copied and read aloud.
    "svg.fonttype": "none",
    # Names within an SVG, and so its bytes, are the same each time.
    "svg.hashsalt": "monosweep",
    "savefig.dpi": 150.0,
}


@contextmanager
def house_style() -> Iterator[None]:
    """While it lasts matplotlib draws as the house does, whatever its user has set.

    Some of these settings can be given to matplotlib in no other way than for the whole process.
    """
    with matplotlib.style.context(["default", _SETTINGS]):
        yield


@dataclass(frozen=True)
class Look:
    """How one kind of thing is drawn, in every figure alike.

    Attributes:
        color: Its colour.
        marker: Its mark.
        is_filled: Whether the mark is filled.
        size: The mark's area, in points squared.
        line: How its lines are dashed.
        hatch: What its areas are filled with.
    """

    color: str
    marker: str = "o"
    is_filled: bool = True
    size: float = 22.0
    line: Literal["-"] | tuple[float, tuple[float, ...]] = "-"
    hatch: str = ""


LIMIT_DASHES = (0, (4, 2))
# What became of a search trial.
TRIALS = {
    "feasible": Look(BLUE),
    "infeasible": Look(ORANGE, "^", is_filled=False),
    "stopped": Look(GREY, "|", size=30.0),
    "failed": Look(VERMILION, "x", size=26.0),
}
# What a neuron answers to.
NEURONS = {
    "monosemantic": Look(GREEN, "o", size=9.0),
    "polysemantic": Look(ORANGE, "^", is_filled=False, size=12.0),
    "dead": Look(GREY, "x", size=10.0),
}
# Whom a network stands for.
BASELINE = Look(BLACK, "s")
OTHER = Look(LIGHT)
CANDIDATES = (
    Look(BLUE, "o", line=(0, (5, 1.5))),
    Look(VERMILION, "D", line=(0, (5, 1.5, 1, 1.5))),
    Look(GREEN, "^", line=(0, (2, 1))),
    Look(PURPLE, "v", line=(0, (7, 1.5, 1, 1.5, 1, 1.5))),
    Look(SKY, "P", line=(0, (3, 3))),
)
PHASES = {
    "baseline": Look(GREY),
    "search": Look(SKY),
    "confirmation": Look(GREEN, hatch="///"),
}


def marks(
    axes: Axes, x: ArrayLike, y: ArrayLike, look: Look, label: str, *, is_at_edge: bool = False
) -> PathCollection:
    """Marks of one kind; many of them are smaller, let others shine through, and are one image.

    Args:
        axes: Where they are drawn.
        x: Where each lies. Shape ``[M]``.
        y: The same.
        look: How they are drawn.
        label: What they are.
        is_at_edge: Whether some lie at the axes' edge, and are drawn whole all the same.
    """
    size, alpha = crowded(np.size(x))
    found = axes.scatter(
        x,
        y,
        s=look.size * size,
        alpha=alpha,
        marker=look.marker,
        linewidths=1.0,
        color=look.color,
        label=label,
        clip_on=not is_at_edge,
    )
    if not look.is_filled:
        found.set_facecolor("none")
    found.set_rasterized(np.size(x) > MOST_PATHS)
    return found


def crowded(num: int) -> tuple[float, float]:
    """By how much so many marks in a panel shrink, and how opaque they are."""
    return min(1.0, max((MOST_PATHS / max(num, 1)) ** 0.5, 0.25)), 1.0 if num <= MOST_PATHS else 0.5


def limit_line(axes: Axes, value: float, *, is_upright: bool) -> None:
    """A limit that something must keep, such as the ceiling."""
    draw = axes.axvline if is_upright else axes.axhline
    draw(value, color=BLACK, linewidth=1.2, linestyle=LIMIT_DASHES, zorder=3)


def key_line(label: str) -> Line2D:
    """What stands for a limit in a legend."""
    return Line2D([], [], color=BLACK, linewidth=1.2, linestyle=LIMIT_DASHES, label=label)


def key_mark(look: Look, label: str) -> Line2D:
    """What stands for a kind of mark in a legend."""
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=look.marker,
        color=look.color,
        markerfacecolor=look.color if look.is_filled else "none",
        markersize=max(look.size**0.5, 4.5),
        label=label,
    )


def log_steps(axes: Axes, last: float) -> None:
    """Steps of training along the x axis, on a log2 scale, in numbers that can be read.

    Args:
        axes: Where they go.
        last: The largest step, at least 1.
    """
    axes.set_xscale("log", base=2)
    axes.set_xlim(0.8, 1.25 * last)
    axes.xaxis.set_major_locator(LogLocator(base=2, numticks=8))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    axes.set_xlabel("training steps (log2 scale)")


def log_numbers(axis: Axis) -> None:
    """A log scale with labels such as 0.02, at 1, 2 and 5 of each decade."""
    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=9))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
