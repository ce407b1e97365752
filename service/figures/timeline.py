"""Which worker trained which cohort, from when to when, and how it ended."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import Patch

from service.figures.picture import Picture
from service.figures.style import BLACK, GREY, MOST_PATHS, PHASES, VERMILION, house_style
from service.ledger import ABANDONED, RECORDED

ENDED, DIED, LEFT, AT_WORK = "results recorded", "died", "left with its driver", "at work"
_THICK = 0.62
_MOST_LABELS = 24
# Times at which nobody is at work are cut where they are longer than so much of all others.
_LONG_GAP = 0.05


@dataclass(frozen=True)
class Bar:
    """One execution of a cohort.

    Attributes:
        lane: Its place from the top, from 0.
        phase: Whose trials it trained.
        start: Seconds since the sweep's first one.
        end: The same.
        ending: One of the words above.
    """

    lane: int
    phase: str
    start: float
    end: float
    ending: str


def timeline_figure(attempts: pa.Table, small_print: str) -> Picture:
    """A lane for each worker, from the first at work to the last.

    Executions whose worker nobody was told of are packed into lanes of their own.

    Args:
        attempts: At least one execution, by when they were started; the columns of
            ``service.tables.ATTEMPTS_SCHEMA``.
        small_print: Which sweep it is of.
    """
    bars, labels = lanes(attempts)
    bars, cuts = _without_gaps(bars)
    height = 1.7 + min(max(0.3 * len(labels), 0.6), 7.0)
    figure = Picture("Who trained what, and when", small_print, 9.6, height)
    with house_style():
        axes = figure.subplots()
        unit, seconds = _unit(max(bar.end for bar in bars))
        for ending in (ENDED, LEFT, DIED, AT_WORK):
            for phase in PHASES:
                _draw(axes, bars, phase, ending, seconds)
        for at, length in cuts:
            axes.axvline(at / seconds, color=GREY, linewidth=1.0, linestyle=(0, (1, 2)))
            axes.annotate(
                f"{_spoken(length)} idle",
                (at / seconds, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                size=7.5,
                color=GREY,
            )
        every = -(-len(labels) // _MOST_LABELS)
        axes.set_yticks(range(0, len(labels), every), labels[::every])
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_xlim(0.0, max(bar.end for bar in bars) / seconds * 1.01 or 1.0)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"{unit} since the first cohort began{', idle times cut' * bool(cuts)}")
        figure.legend(handles=_keys(bars), loc="outside lower left", ncols=6)
    figure.finding = _finding(bars, len(labels))
    return figure


def lanes(attempts: pa.Table) -> tuple[list[Bar], list[str]]:
    """The executions with their lanes, and the lanes' names from the top.

    Workers come in the order in which they began; below them as few lanes as will hold the
    executions without a worker, each of which goes to the one that was free first.
    """
    rows = attempts.to_pylist()
    first = min(row["started_at"] for row in rows)
    # Those at work reach as far as anything is known.
    known = [row[name] for row in rows for name in ("started_at", "ended_at") if row[name]]
    last = max(known)
    workers: dict[str, int] = {}
    for row in rows:
        if row["worker"] is not None:
            workers.setdefault(row["worker"], len(workers))
    free: list[tuple[datetime, int]] = []
    num_packed = 0
    bars = []
    for row in rows:
        end = row["ended_at"] or last
        if row["worker"] is not None:
            lane = workers[row["worker"]]
        elif free and free[0][0] <= row["started_at"]:
            lane = heapq.heapreplace(free, (end, free[0][1]))[1]
        else:
            lane = len(workers) + num_packed
            num_packed += 1
            heapq.heappush(free, (end, lane))
        bars.append(
            Bar(
                lane=lane,
                phase=row["cohort_id"].partition("-")[0],
                start=(row["started_at"] - first).total_seconds(),
                end=(end - first).total_seconds(),
                ending=_ending(row["outcome"]),
            )
        )
    return bars, [*map(_host_and_process, workers), *["worker not known"] * num_packed]


def _host_and_process(worker: str) -> str:
    host, _, process = worker.rpartition(" ")
    return f"{host}, process {process}" if host else worker


def _ending(outcome: str | None) -> str:
    if outcome is None:
        return AT_WORK
    return {RECORDED: ENDED, ABANDONED: LEFT}.get(outcome, DIED)


def _without_gaps(bars: Sequence[Bar]) -> tuple[list[Bar], list[tuple[float, float]]]:
    """The executions moved together where nobody was at work for long, and where, and how long."""
    ordered = sorted(bars, key=lambda bar: bar.start)
    gaps, reached = [], 0.0
    for bar in ordered:
        if bar.start > reached:
            gaps.append((reached, bar.start - reached))
        reached = max(reached, bar.end)
    at_work = reached - sum(length for _, length in gaps)
    keep = _LONG_GAP * at_work
    long = [(at, length) for at, length in gaps if length > 2.0 * keep]

    def moved(moment: float) -> float:
        return moment - sum(length - keep for at, length in long if moment >= at + length)

    cuts = [(moved(at) + keep / 2.0, length) for at, length in long]
    together = [
        Bar(bar.lane, bar.phase, moved(bar.start), moved(bar.end), bar.ending) for bar in bars
    ]
    return together, cuts


def _draw(axes: Axes, bars: Sequence[Bar], phase: str, ending: str, seconds: float) -> None:
    mine = [bar for bar in bars if bar.phase == phase and bar.ending == ending]
    if not mine:
        return
    look = PHASES[phase]
    is_whole = ending == ENDED
    areas = PolyCollection(
        [_corners(bar, seconds) for bar in mine],
        facecolors=look.color if is_whole else "white",
        edgecolors={DIED: VERMILION, LEFT: GREY}.get(ending, "white" if is_whole else look.color),
        linewidths=0.5 if is_whole else 1.2,
        hatch=look.hatch if is_whole else {DIED: "xxx", LEFT: "..."}.get(ending, ""),
        linestyles="--" if ending == AT_WORK else "-",
        label=f"{phase}: {ending}",
    )
    areas.set_rasterized(len(mine) > MOST_PATHS)
    axes.add_collection(areas)


def _corners(bar: Bar, seconds: float) -> list[tuple[float, float]]:
    low, high = bar.lane - _THICK / 2, bar.lane + _THICK / 2
    start, end = bar.start / seconds, bar.end / seconds
    return [(start, low), (end, low), (end, high), (start, high)]


def _keys(bars: Sequence[Bar]) -> list[Patch]:
    phases = {bar.phase for bar in bars if bar.ending == ENDED}
    endings = {bar.ending for bar in bars}
    keys = [
        Patch(facecolor=look.color, edgecolor="white", hatch=look.hatch, label=phase)
        for phase, look in PHASES.items()
        if phase in phases
    ]
    for ending, color, hatch in (
        (DIED, VERMILION, "xxx"),
        (LEFT, GREY, "..."),
        (AT_WORK, BLACK, ""),
    ):
        if ending in endings:
            keys.append(
                Patch(
                    facecolor="white",
                    edgecolor=color,
                    hatch=hatch,
                    linestyle="--" if ending == AT_WORK else "-",
                    label=ending,
                )
            )
    return keys


_UNITS = (("hours", 3600.0, 3.0), ("minutes", 60.0, 3.0), ("seconds", 1.0, 0.0))


def _unit(seconds: float) -> tuple[str, float]:
    return next((name, length) for name, length, least in _UNITS if seconds >= least * length)


def _spoken(seconds: float) -> str:
    name, length = _unit(seconds)
    return f"{seconds / length:.0f} {name}"


def _finding(bars: Sequence[Bar], num_lanes: int) -> str:
    counts = {
        ending: sum(bar.ending == ending for bar in bars) for ending in (ENDED, DIED, LEFT, AT_WORK)
    }
    said = ", ".join(f"{count} {ending}" for ending, count in counts.items() if count)
    busy = sum(bar.end - bar.start for bar in bars)
    span = max(bar.end for bar in bars)
    shares = f", at work {busy / (span * num_lanes):.0%} of the time" if span else ""
    lanes_said = "1 worker" if num_lanes == 1 else f"{num_lanes} workers"
    cohorts = "execution" if len(bars) == 1 else "executions"
    return f"{len(bars)} {cohorts} of cohorts on {lanes_said}{shares}: {said}."
