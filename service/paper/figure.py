"""The paper's figures of a batch: what came of each point of its grid, and how it was trained."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from service.errors import UserError
from service.figures import Picture, as_svg
from service.figures.style import BASELINE, CANDIDATES, Look, house_style, log_numbers
from service.figures.training import COVERAGE, PER_FEATURE, Line, training_figure
from service.home import Home
from service.paper.result import BatchResult, PointResult
from service.paper.sweep_files import grid_words, name_of

# A grid whose largest value is so many times its least is seen on a log scale only.
_WIDE = 10.0
# Room beside its ends, as a factor.
_BESIDE = 1.2
# Room above the largest number, as a factor.
_ABOVE = 1.1
_LOOKS = (*CANDIDATES, BASELINE)
# From dark to not too light for a thin line.
_RAMP, _LIGHTEST = colormaps["viridis"], 0.85
_DASHES: tuple[tuple[float, tuple[float, ...]], ...] = ((0, ()), (0, (5, 1.5)), (0, (1.5, 1.2)))


def batch_figure(result: BatchResult) -> Picture:
    """Monosemanticity against what the batch varies, and the loss below it.

    Of two grids the last is the axis, with a line for each value of the other. Points that failed
    are left out, and told.

    Args:
        result: What came of the batch.
    """
    *_, axis = result.scaled.batch.grids
    lines = _lines(result)
    has_one = len(lines) == 1
    figure = Picture(f"The paper's batch {result.name}", _small_print(result), 6.4, 5.6)
    with house_style():
        share, loss = figure.subplots(2, 1, sharex=True)
        for (label, points), look in zip(lines.items(), _LOOKS, strict=False):
            _draw(share, points, axis=axis, metric=PER_FEATURE, look=look, label=label)
            if has_one:
                _draw(
                    *(share, points),
                    axis=axis,
                    metric=COVERAGE,
                    look=CANDIDATES[1],
                    label="feature coverage",
                )
            _draw(loss, points, axis=axis, metric="loss", look=look, label=label)
        share.set_ylabel("monosemantic neurons\nfor each feature")
        loss.set_ylabel("held-out loss: squared error,\nsummed over outputs")
        loss.set_xlabel(grid_words(axis))
        for axes, metric in ((share, PER_FEATURE), (loss, "loss")):
            # From zero, so that nearly the same looks so.
            most = max((point.metrics[metric] for point in result.complete), default=0.0)
            axes.set_ylim(0.0, _ABOVE * most or 1.0)
        # Where all of the grid is, the points that failed included.
        values = sorted(point.number(axis) for point in result.points)
        if values[0] > 0.0 and values[-1] >= _WIDE * values[0]:
            loss.set_xscale("log")
            loss.set_xlim(values[0] / _BESIDE, values[-1] * _BESIDE)
            log_numbers(loss.xaxis)
            loss.set_xlabel(f"{grid_words(axis)} (log scale)")
        if result.complete:
            handles, labels = share.get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower left", ncols=3)
    figure.finding = _finding(result, axis)
    return figure


def curves_figure(result: BatchResult) -> Picture | None:
    """How the networks of each point were trained, step by step; None if none left a curve.

    The larger a point's setting, the lighter its line; of two grids the first one's.
    """
    name, *_ = result.scaled.batch.grids
    values = sorted({point.number(name) for point in result.points})
    places = {value: place for place, value in enumerate(values)}
    last = max(len(places) - 1, 1)
    lines = [
        Line(
            label=f"{grid_words(name)} {value:.4g}",
            look=Look(to_hex(_RAMP(_LIGHTEST * place / last)), line=_DASHES[place % len(_DASHES)]),
            curves=point.curves,
            is_main=False,
        )
        for point in result.points
        for value in (point.number(name),)
        for place in (places[value],)
        if point.curves.num_rows
    ]
    if not lines:
        return None
    figure = training_figure(lines, _small_print(result))
    # Of so many lines each is drawn alone, without its coverage.
    figure.axes[1].set_ylabel("for each feature")
    figure.finding = f"Curves of {len(lines)} points, by their {grid_words(name)}."
    return figure


def write_figures(result: BatchResult, home: Home) -> list[Path]:
    """Write a batch's figures below the home, each whole or not at all; where they are.

    Raises:
        UserError: If they cannot be written there.
    """
    name = name_of(result.scaled)
    pictures = {name: batch_figure(result), f"{name}-training": curves_figure(result)}
    return [
        _written(home.figure(one), picture)
        for one, picture in pictures.items()
        if picture is not None
    ]


def _written(path: Path, picture: Picture) -> Path:
    # One for all tries: what one of them left is written over by the next.
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(as_svg(picture))
        return partial.replace(path)
    except OSError as error:
        raise UserError(
            f"figures must be files that can be written below the home, found: {error}. Mend the "
            "folder, or name another home: MONOSWEEP_HOME."
        ) from error


def _lines(result: BatchResult) -> Mapping[str, list[PointResult]]:
    """The points that were trained to the end, by what their line is called."""
    first, *others = result.scaled.batch.grids
    if not others:
        return {"monosemantic per feature": result.complete}
    lines: dict[str, list[PointResult]] = {}
    for point in result.complete:
        lines.setdefault(f"{grid_words(first)} {point.number(first):.4g}", []).append(point)
    return lines


def _draw(
    axes: Axes, points: Sequence[PointResult], *, axis: str, metric: str, look: Look, label: str
) -> None:
    axes.plot(
        np.array([point.number(axis) for point in points]),
        np.array([point.metrics[metric] for point in points]),
        color=look.color,
        marker=look.marker,
        markersize=4.5,
        linewidth=1.2,
        linestyle=look.line,
        label=label,
    )


def _small_print(result: BatchResult) -> str:
    return " ".join(_said(result))


def _said(result: BatchResult) -> Iterator[str]:
    batch, scaling = result.scaled.batch, result.scaled.scaling
    neurons = "" if "num_neurons" in batch.grids else f", {batch.num_neurons} neurons"
    seeds = f"mean of {scaling.num_seeds} seeds" if scaling.num_seeds > 1 else "one seed a point"
    yield (
        f"{name_of(result.scaled)}: {batch.num_features} features, {batch.num_inputs} inputs"
        f"{neurons}; {scaling.num_steps:,} steps on batches of {scaling.batch_size:,}; {seeds}."
    )
    num_failed = len(result.points) - len(result.complete)
    if num_failed:
        yield f"{num_failed} of {len(result.points)} points failed and are left out."


def _finding(result: BatchResult, axis: str) -> str:
    if not result.complete:
        return "No point was trained to the end."
    low, high = (pick(result.complete, key=lambda point: point.monosemantic) for pick in (min, max))
    losses = [point.loss for point in result.complete]
    return (
        f"Monosemantic neurons for each feature from {low.monosemantic:.2f} at {grid_words(axis)} "
        f"{low.number(axis):.4g} to {high.monosemantic:.2f} at {high.number(axis):.4g}; loss "
        f"{min(losses):.3f} to {max(losses):.3f}."
    )
