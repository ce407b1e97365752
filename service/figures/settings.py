"""The objective against each setting that the search varied, and the loss ratio below it."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D

from search_spaces import Choice, Float, Int, Space
from service.figures.columns import (
    STATES,
    Floats,
    Words,
    beyond,
    limits,
    measure,
    numbers,
    states,
    with_note,
    words,
)
from service.figures.picture import Picture
from service.figures.style import (
    TRIALS,
    house_style,
    key_line,
    key_mark,
    limit_line,
    log_numbers,
    marks,
)
from service.objective import LOSS_RATIO, Goal, Limit, in_words

PER_BAND = 3
# Categories' marks are spread over so much of the way to the next one.
_SPREAD = 0.5
_GOLDEN = 0.6180339887498949


def settings_figure(
    trials: pa.Table,
    space: Space,
    goals: Sequence[Goal],
    bounds: Sequence[Limit],
    small_print: str,
) -> Picture:
    """A column for each setting, a row for each number, every search trial a mark.

    Trials without numbers, stopped or failed, are marked in a strip at the bottom.

    Args:
        trials: The columns of ``trials.parquet``, of the search only; at least one is complete.
        space: What the search varied, at least one setting.
        goals: What it was after.
        bounds: What trials had to keep; those of the numbers shown are drawn.
        small_print: Which sweep it is of.
    """
    names = list(dict.fromkeys([*(goal.name for goal in goals), LOSS_RATIO]))
    shown = [name for name in names if np.isfinite(measure(trials, name)).any()]
    varied = list(space.varied)
    what = states(trials)
    strip = [state for state in ("stopped", "failed") if (what == state).any()]
    num_columns = min(len(varied), PER_BAND)
    num_bands = -(-len(varied) // num_columns)
    ends = {name: _ends(name, trials, what, bounds) for name in shown}
    is_beyond = [beyond(measure(trials, name), ends[name]) for name in shown]
    num_beyond = int(np.sum(np.any(is_beyond, axis=0) & np.isin(what, ("feasible", "infeasible"))))
    rows = [1.9] * len(shown) + [0.22 + 0.12 * len(strip)] * bool(strip)
    figure = Picture(
        f"{_capital(in_words(shown[0]))} against each setting",
        with_note(small_print, num_beyond),
        1.0 + 2.9 * num_columns,
        1.0 + num_bands * (sum(rows) + 0.5),
    )
    with house_style():
        grid = GridSpec(
            num_bands * len(rows), num_columns, figure=figure, height_ratios=rows * num_bands
        )
        for place, setting in enumerate(varied):
            band, column = divmod(place, num_columns)
            panels = _panels(figure, grid, band * len(rows), column, len(rows))
            x = _along(trials, setting, space)
            for axes, name in zip(panels, shown, strict=False):
                _draw(axes, x, measure(trials, name), what, ends[name])
                for bound in bounds:
                    if bound.name == name:
                        limit_line(axes, bound.bound, is_upright=False)
                if column == 0:
                    axes.set_ylabel(in_words(name))
            if strip:
                _draw_strip(panels[-1], x, what, strip, is_first=column == 0)
            _label(panels[-1], setting, space)
        figure.legend(handles=_keys(what, shown, bounds), loc="outside lower left", ncols=5)
    figure.finding = _finding(trials, what, goals[0])
    return figure


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _panels(figure: Picture, grid: GridSpec, top: int, column: int, num: int) -> list[Axes]:
    panels: list[Axes] = []
    for row in range(num):
        first = panels[0] if panels else None
        panels.append(figure.add_subplot(grid[top + row, column], sharex=first))
    for axes in panels[:-1]:
        axes.tick_params(labelbottom=False)
    if column:
        for axes in panels:
            axes.tick_params(labelleft=False)
    return panels


def _along(trials: pa.Table, setting: str, space: Space) -> Floats:
    """Where each trial lies along a setting; NaN where it does not have it. Shape ``[rows]``."""
    parameter = space.varied[setting]
    if isinstance(parameter, Choice):
        places = {option: place for place, option in enumerate(parameter.options)}
        values = trials[f"params.{setting}"].to_pylist()
        x = np.array([places.get(value, np.nan) for value in values], dtype=np.float64)
        # Spread evenly and alike each time, so that marks do not hide each other.
        x += _SPREAD * ((numbers(trials, "number") * _GOLDEN) % 1.0 - 0.5)
    else:
        x = numbers(trials, f"params.{setting}")
    if setting in space.conditions:
        parents = [name for name in space.varied if name != setting]
        columns = {name: trials[f"params.{name}"].to_pylist() for name in parents}
        is_there = [
            space.is_active(setting, {name: columns[name][row] for name in parents})
            for row in range(trials.num_rows)
        ]
        x = np.where(is_there, x, np.nan)
    return x


def _ends(name: str, trials: pa.Table, what: Words, bounds: Sequence[Limit]) -> tuple[float, float]:
    values = measure(trials, name)[(what == "feasible") | (what == "infeasible")]
    return limits(values, [bound.bound for bound in bounds if bound.name == name])


def _draw(axes: Axes, x: Floats, y: Floats, what: Words, ends: tuple[float, float]) -> None:
    is_known = np.isfinite(x) & np.isfinite(y)
    # The rarer ones last, so that they are seen among the others.
    for state in sorted(("infeasible", "feasible"), key=lambda one: -np.sum(what == one)):
        mine = (what == state) & is_known
        # What lies beyond the axis is shown at its end.
        marks(axes, x[mine], np.clip(y[mine], *ends), TRIALS[state], state, is_at_edge=True)
    axes.set_ylim(*ends)


def _keys(what: Words, shown: Sequence[str], bounds: Sequence[Limit]) -> list[Line2D]:
    counts = {state: int(np.sum(what == state)) for state in STATES}
    keys = [
        key_mark(TRIALS[state], f"{state} ({count})") for state, count in counts.items() if count
    ]
    for bound in bounds:
        if bound.name in shown:
            words = (
                "ceiling" if bound.key == LOSS_RATIO else f"{in_words(bound.name)} {bound.words}"
            )
            keys.append(key_line(f"{words} {bound.bound:.4g}"))
    return keys


def _draw_strip(
    axes: Axes, x: Floats, what: Words, strip: Sequence[str], *, is_first: bool
) -> None:
    for height, state in enumerate(reversed(strip)):
        mine = (what == state) & np.isfinite(x)
        marks(axes, x[mine], np.full(int(mine.sum()), height), TRIALS[state], state)
    axes.set_ylim(-0.7, len(strip) - 0.3)
    axes.set_yticks(range(len(strip)), list(reversed(strip)) if is_first else [])
    axes.tick_params(labelleft=is_first, left=False)
    axes.grid(visible=False)


def _label(axes: Axes, setting: str, space: Space) -> None:
    match space.varied[setting]:
        case Choice(options=options):
            axes.set_xticks(range(len(options)), [str(option) for option in options])
            axes.set_xlim(-0.6, len(options) - 0.4)
        case Float(log=True) | Int(log=True):
            axes.set_xscale("log")
            log_numbers(axes.xaxis)
    axes.set_xlabel(_LABELS.get(setting, setting.replace("_", " ")))


_LABELS: Mapping[str, str] = {
    "initial_bias": "initial bias (mean over neurons)",
    "bias_decay": "bias decay (times the rate, each step)",
    "num_neurons": "neurons",
    "l1": "L1 penalty",
}


def _finding(trials: pa.Table, what: Words, goal: Goal) -> str:
    counts = ", ".join(f"{np.sum(what == state)} {state}" for state in STATES)
    values, ids = measure(trials, goal.name), words(trials, "trial_id")
    mine = np.flatnonzero((what == "feasible") & np.isfinite(values))
    if not mine.size:
        return f"Of {len(what)} search trials none is feasible ({counts})."
    best = mine[np.argmax(goal.sign * values[mine])]
    return (
        f"Of {len(what)} search trials {np.sum(what == 'feasible')} are feasible ({counts}); the "
        f"best has {goal.words} {values[best]:.3g} ({ids[best]})."
    )
