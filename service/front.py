"""Which trials are best: in order, on the Pareto front, and spread over it.

Only feasible trials are looked at. One objective is a front of one trial.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from service.objective import Goal, Objective
from service.trials import Trial

T = TypeVar("T")
Gains = tuple[float, ...]


def ranked(trials: Iterable[Trial], objective: Objective) -> list[Trial]:
    """Feasible trials, best first: by the first goal, then by the others in their order.

    Ties go to fewer neurons, then to the lower loss ratio, then to the earlier trial.
    """
    return [trial for trial, _ in _ranked(trials, objective)]


def front(trials: Iterable[Trial], objective: Objective) -> list[Trial]:
    """Feasible trials that no other one is better than in every respect, ranked.

    Of trials with equal values the first of the ranking is on it.
    """
    return [trial for trial, _ in undominated(_ranked(trials, objective), lambda pair: pair[1])]


def finalists(trials: Iterable[Trial], objective: Objective, count: int) -> list[Trial]:
    """At most so many feasible trials, spread over the front.

    The best in the first goal, then again and again the trial of the front that is farthest from
    those taken, each goal measured by its range on the front. Where the front has too few, the
    front of the trials that are left follows. With one objective these are the best so many.
    """
    left, taken = _ranked(trials, objective), list[Trial]()
    while left and len(taken) < count:
        layer = undominated(left, lambda pair: pair[1])
        chosen = _spread([gains for _, gains in layer], count - len(taken))
        taken += [layer[index][0] for index in chosen]
        numbers = {trial.number for trial, _ in layer}
        left = [pair for pair in left if pair[0].number not in numbers]
    return taken


def undominated(ranking: Iterable[T], gains: Callable[[T], Gains]) -> list[T]:
    """Those that no other one is at least as good as in every goal; of equals the first.

    Args:
        ranking: Best first, by the first goal, then by the others.
        gains: Something's number for each goal, larger being better.
    """
    kept: list[T] = []
    for one in ranking:
        # Ranked so, nobody is dominated by one who comes later.
        if not any(_is_at_least(gains(other), gains(one)) for other in kept):
            kept.append(one)
    return kept


def as_gains(goals: Sequence[Goal], values: Sequence[float]) -> Gains:
    """Values as numbers that are larger where they are better."""
    return tuple(goal.gain(value, 0.0) for goal, value in zip(goals, values, strict=True))


def _ranked(trials: Iterable[Trial], objective: Objective) -> list[tuple[Trial, Gains]]:
    feasible = [
        (trial, as_gains(objective.goals, values), result.loss_ratio)
        for trial in trials
        if (result := trial.result) is not None
        and objective.is_feasible(result, trial.settings)
        and (values := objective.values(result, trial.settings)) is not None
    ]
    feasible.sort(
        key=lambda found: (
            tuple(-gain for gain in found[1]),
            found[0].settings["num_neurons"],
            math.inf if found[2] is None else found[2],
            found[0].number,
        )
    )
    return [(trial, gains) for trial, gains, _ in feasible]


def _is_at_least(these: Gains, others: Gains) -> bool:
    return all(mine >= theirs for mine, theirs in zip(these, others, strict=True))


def _spread(points: Sequence[Gains], count: int) -> list[int]:
    """Indices of at most so many points, the first one and those farthest from the taken."""
    lows, highs = (tuple(map(end, zip(*points, strict=True))) for end in (min, max))
    ranges = tuple(high - low or 1.0 for low, high in zip(lows, highs, strict=True))

    def distance(one: Gains, other: Gains) -> float:
        ways = zip(one, other, ranges, strict=True)
        return sum(((mine - theirs) / span) ** 2 for mine, theirs, span in ways)

    taken = [0]
    nearest = [distance(point, points[0]) for point in points]
    while len(taken) < min(count, len(points)):
        left = (index for index in range(len(points)) if index not in taken)
        # Of equally far ones the first of the ranking: max keeps the first.
        taken.append(max(left, key=nearest.__getitem__))
        newest = points[taken[-1]]
        nearest = [
            min(far, distance(point, newest)) for far, point in zip(nearest, points, strict=True)
        ]
    return taken
