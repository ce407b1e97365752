"""What loss, monosemanticity and width cost each other: every complete trial, and the front."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from service.figures.columns import (
    Floats,
    Words,
    beyond,
    limits,
    measure,
    states,
    with_note,
    words,
)
from service.figures.picture import Picture
from service.figures.style import (
    BLACK,
    GREY,
    MOST_PATHS,
    crowded,
    house_style,
    key_line,
    limit_line,
)
from service.front import undominated
from service.objective import LOSS_RATIO, NUM_NEURONS

PER_FEATURE = "monosemantic_per_feature"
# Light to dark with width, also to those who see no colours.
_SHADES = "cividis_r"
_LEAST_AREA, _MOST_AREA = 14.0, 90.0
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Points:
    """The complete trials. Shapes ``[T]``."""

    ids: Words
    ratio: Floats
    share: Floats
    width: Floats
    is_feasible: Mask

    def at(self, which: Mask) -> "_Points":
        return _Points(
            self.ids[which],
            self.ratio[which],
            self.share[which],
            self.width[which],
            self.is_feasible[which],
        )


def front_figure(trials: pa.Table, max_loss_ratio: float | None, small_print: str) -> Picture:
    """Monosemanticity over the loss ratio; the wider a network, the larger and darker its mark.

    The front has the feasible trials that no other one is at least as good as in all three: a lower
    loss, more monosemantic neurons, fewer neurons.

    Args:
        trials: The columns of ``trials.parquet``, of the search; some complete with a loss ratio.
        max_loss_ratio: Where the ceiling is; None where there is none.
        small_print: Which sweep it is of.
    """
    points = _complete(trials)
    on_front = _on_front(points)
    must_show = [1.0] if max_loss_ratio is None else [1.0, max_loss_ratio]
    x_ends = limits(points.ratio, [*must_show, *points.ratio[on_front]])
    y_ends = limits(points.share, points.share[on_front].tolist())
    num_beyond = int(np.sum(beyond(points.ratio, x_ends) | beyond(points.share, y_ends)))
    said = with_note(small_print, num_beyond)
    figure = Picture("Loss, monosemanticity and width: the Pareto front", said, 8.0, 4.8)
    with house_style():
        axes = figure.subplots()
        widths = Normalize(points.width.min(), max(points.width.max(), points.width.min() + 1))
        draw = _drawer(axes, widths, x_ends, y_ends)
        draw(points.at(~points.is_feasible), "infeasible")
        draw(points.at(points.is_feasible & ~on_front), "feasible")
        front = draw(points.at(on_front), "on the front")
        front.set(edgecolor=BLACK, linewidth=1.2, zorder=4)
        _name_best(axes, points.at(on_front))
        axes.axvline(1.0, color=GREY, linewidth=0.8)
        if max_loss_ratio is not None:
            limit_line(axes, max_loss_ratio, is_upright=True)
        axes.set_xlabel("loss ratio (loss over the baseline's on the same seeds)")
        axes.set_ylabel("monosemantic neurons for each feature")
        bar = figure.colorbar(front, ax=axes, label="neurons (the larger a mark, the more)")
        bar.ax.grid(visible=False)
        figure.legend(handles=_keys(max_loss_ratio), loc="outside lower left", ncols=5)
    figure.finding = _finding(points, points.at(on_front))
    return figure


def _complete(trials: pa.Table) -> _Points:
    ratio, share = measure(trials, LOSS_RATIO), measure(trials, PER_FEATURE)
    what = states(trials)
    is_known = np.isfinite(ratio) & np.isfinite(share) & np.isin(what, ("feasible", "infeasible"))
    width = measure(trials, NUM_NEURONS)
    return _Points(words(trials, "trial_id"), ratio, share, width, what == "feasible").at(is_known)


def _on_front(points: _Points) -> Mask:
    """Which of the trials are on the front; of equals the first."""
    gains = np.stack([points.share, -points.ratio, -points.width], axis=1)
    order = np.lexsort((-gains[:, 2], -gains[:, 1], -gains[:, 0]))
    ranking = [int(place) for place in order if points.is_feasible[place]]
    rows = {place: tuple(gains[place].tolist()) for place in ranking}
    chosen = np.zeros(len(points.ids), dtype=np.bool_)
    chosen[undominated(ranking, rows.__getitem__)] = True
    return chosen


def _drawer(
    axes: Axes, norm: Normalize, x_ends: tuple[float, float], y_ends: tuple[float, float]
) -> Callable[[_Points, str], PathCollection]:
    """What draws some of the trials; those beyond the axes are shown at their ends."""
    axes.set_xlim(*x_ends)
    axes.set_ylim(*y_ends)

    def draw(points: _Points, label: str) -> PathCollection:
        size, alpha = crowded(len(points.ids))
        shares = np.asarray(norm(points.width), dtype=np.float64)
        drawn = axes.scatter(
            np.clip(points.ratio, *x_ends),
            np.clip(points.share, *y_ends),
            c=points.width,
            s=size * (_LEAST_AREA + (_MOST_AREA - _LEAST_AREA) * shares),
            alpha=alpha,
            cmap=_SHADES,
            norm=norm,
            marker="^" if label == "infeasible" else "o",
            label=label,
            edgecolors="face",
            clip_on=False,
        )
        if label == "infeasible":
            drawn.set(edgecolor=drawn.to_rgba(points.width), facecolor="none", linewidth=0.9)
        drawn.set_rasterized(len(points.ids) > MOST_PATHS)
        return drawn

    return draw


def _name_best(axes: Axes, front: _Points) -> None:
    """Name the ends of the front: the most monosemantic, of the lowest loss, the narrowest."""
    if not len(front.ids):
        return
    # Two ends may lie side by side: one is named above its mark, the others below theirs.
    above, below = (7, 6), (7, -13)
    names = {int(front.width.argmin()): below, int(front.ratio.argmin()): below}
    for place, offset in {**names, int(front.share.argmax()): above}.items():
        axes.annotate(
            str(front.ids[place]),
            (front.ratio[place], front.share[place]),
            xytext=offset,
            textcoords="offset points",
            size=7.5,
            zorder=5,
        )


def _keys(max_loss_ratio: float | None) -> list[Line2D]:
    def mark(marker: str, face: str, edge: str, label: str) -> Line2D:
        return Line2D(
            [],
            [],
            linestyle="none",
            marker=marker,
            markerfacecolor=face,
            markeredgecolor=edge,
            label=label,
        )

    keys = [
        mark("o", GREY, BLACK, "on the front"),
        mark("o", GREY, GREY, "feasible"),
        mark("^", "none", GREY, "infeasible"),
        Line2D([], [], color=GREY, linewidth=0.8, label="the baseline's loss"),
    ]
    if max_loss_ratio is not None:
        keys.append(key_line(f"ceiling {max_loss_ratio:.4g}"))
    return keys


def _finding(points: _Points, front: _Points) -> str:
    num_feasible = int(points.is_feasible.sum())
    if not num_feasible:
        return f"None of {len(points.ids)} complete trials is feasible, so there is no front."
    best, least = int(front.share.argmax()), int(front.width.argmin())
    said = (
        f"{len(front.ids)} of {num_feasible} feasible trials are on the front: from "
        f"{front.share[best]:.2f} monosemantic neurons for each feature with "
        f"{front.width[best]:.0f} neurons ({front.ids[best]})"
    )
    if best == least:
        return f"{said}, which is the narrowest too."
    return f"{said} to {front.share[least]:.2f} with {front.width[least]:.0f} ({front.ids[least]})."
