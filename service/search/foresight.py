"""What samplers are told that learn only from trials that were trained to the end.

To them a trial that was stopped early has the end that it would most likely have had, and one that
diverged the worst end there was. Trials that are told so are never recorded so: all that comes of
it is where the next ones lie.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from service.objective import LOSS_RATIO, NUM_NEURONS, Limit, Objective
from service.trials import Result, Settings, Told

# Ends from which on a line is fitted to them; fewer are only taken in proportion.
MIN_FITTED = 3
# How far beyond each limit a diverged trial is at least; of the loss a ratio of twice the
# baseline's. Against the large number that other samplers are told a model would see nothing else.
DIVERGED_EXCESS = 1.0


class _End(NamedTuple):
    """A complete trial."""

    result: Result
    told: Told


def told(ended: Sequence[tuple[Settings, Result]], objective: Objective) -> list[Told]:
    """What to tell of each ended trial, seen beside all the others.

    Where nothing can be foreseen it is told without values: one that was never in training, one
    that was stopped where no complete trial's standing is known, and any while none is complete.

    Args:
        ended: Settings and result of each, in any order.
        objective: What the search is after; one goal where trials are stopped early.
    """
    known = [objective.told(result, settings) for settings, result in ended]
    ends = [
        _End(result, one)
        for (_, result), one in zip(ended, known, strict=True)
        if one.values is not None
    ]
    return [
        one if one.values is not None else _foreseen(settings, result, ends, objective)
        for (settings, result), one in zip(ended, known, strict=True)
    ]


def _foreseen(
    settings: Settings, result: Result, ends: Sequence[_End], objective: Objective
) -> Told:
    if not ends:
        return Told(None)
    if result.state == "pruned":
        return _of_stopped(settings, result, ends, objective)
    return _of_diverged(settings, ends, objective) if result.num_steps else Told(None)


def _of_stopped(
    settings: Settings, result: Result, ends: Sequence[_End], objective: Objective
) -> Told:
    """The end of trials that stood alike at its last step.

    Never a better one than the best there was: that is the sampler's to hope for.
    """
    if not result.standings:
        return Told(None)
    step = max(result.standings, key=int)
    mine = result.standings[step]
    beside = [end for end in ends if end.result.standings and step in end.result.standings]
    if not beside:
        return Told(None)
    # Beside the loss ratio it has what trials are compared by, if that is another number.
    compared = next((name for name in mine if name != LOSS_RATIO), LOSS_RATIO)

    def foreseen(name: str, their_ends: Sequence[float]) -> float:
        stood = [end.result.standings[step][name] for end in beside if end.result.standings]
        return _on_line(stood, their_ends, mine[name])

    def excess(limit: Limit) -> float:
        if limit.name == LOSS_RATIO:
            return limit.excess(
                foreseen(LOSS_RATIO, [float(end.result.loss_ratio or 0.0) for end in beside])
            )
        if limit.name == NUM_NEURONS:
            return limit.excess(float(settings[NUM_NEURONS]))
        return fmean(end.told.constraints[limit.key] for end in ends)

    value = foreseen(compared, [_value(end) for end in beside])
    best = max(map(_value, ends), key=lambda one: objective.first.gain(one, 0.0))
    if objective.first.gain(value, best) > 0.0:
        value = best
    return Told((value,), {limit.key: excess(limit) for limit in objective.limits})


def _of_diverged(settings: Settings, ends: Sequence[_End], objective: Objective) -> Told:
    """In each objective the worst end there was, and far beyond every limit; the width is known."""
    columns = zip(*(end.told.values or () for end in ends), strict=True)
    width = float(settings[NUM_NEURONS])
    return Told(
        tuple(
            width if goal.name == NUM_NEURONS else min(column, key=lambda one: goal.gain(one, 0.0))
            for goal, column in zip(objective.goals, columns, strict=True)
        ),
        {
            limit.key: limit.excess(width)
            if limit.name == NUM_NEURONS
            else max(DIVERGED_EXCESS, *(end.told.constraints[limit.key] for end in ends))
            for limit in objective.limits
        },
    )


def _value(end: _End) -> float:
    assert end.told.values is not None
    return end.told.values[0]


def _on_line(stood: Sequence[float], ended: Sequence[float], mine: float) -> float:
    """Where one that stood at ``mine`` ends, the others having ended where they did.

    Those that were stopped stood worse than most that ended, and a line of few ends may be steep:
    it is followed as far beyond them as they are apart, since a model that is told of an end far
    out sees little else.
    """
    # A second to import, which a driver without early stopping does not need.
    from scipy.stats import linregress  # noqa: PLC0415

    if len(stood) >= MIN_FITTED and min(stood) < max(stood):
        line, apart = linregress(stood, ended), max(ended) - min(ended)
        # Who stood better does not end worse; where it looks so, it is noise.
        slope = max(float(line.slope), 0.0)
        end = fmean(ended) + slope * (mine - fmean(stood))
        return min(max(end, min(ended) - apart), max(ended) + apart)
    # In proportion, which numbers of either sign have none.
    if min(stood) > 0.0 and mine >= 0.0:
        return mine * fmean(ended) / fmean(stood)
    return fmean(ended)
