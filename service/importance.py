"""Which settings mattered in a search, and how, as far as its trials can tell."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from search_spaces import Choice, Space
from service.ledger import Ledger
from service.objective import LOSS_RATIO, number, objective_of
from service.recorded import spec_of
from service.search.importance import NUM_SHUFFLES, importances
from service.spec import Spec
from service.trials import ENDED, Trial
from service.verdict import Json

# PED-ANOVA wants at least five trials among the best: a third of so many ...
MIN_TRIALS = 15
# ... and with so many a tenth, which says more of where the best is.
MIN_TRIALS_FOR_TENTH = 50
THIRD, TENTH = 1 / 3, 0.1

CAVEAT = (
    "A search looks mostly where it found something good, so this holds there, and little is known "
    "of the rest of the space. A setting without a mark may matter all the same: only more trials "
    "tell. Settings that were tried together share what is one's alone."
)


@dataclass(frozen=True)
class _Target:
    """A number that settings may matter for.

    Attributes:
        name: A reported number, or ``loss_ratio``.
        sign: 1 where lower is better, -1 where higher is.
    """

    name: str
    sign: float

    def value(self, trial: Trial) -> float | None:
        """A trial's number, or None where it has none that is finite."""
        if trial.result is None or trial.result.state != "complete":
            return None
        return number(self.name, trial.result, trial.settings)


def importance(ledger: Ledger, name: str) -> Json:
    """For each objective and the loss ratio, which settings mattered and how.

    Where that cannot be told, a ``reason`` says why, and there are no ``settings``.

    Raises:
        SweepNotFoundError: If there is no sweep of that name.
    """
    record = ledger.sweep(name)
    spec = spec_of(record)
    trials = ledger.trials(name, "search")
    states = Counter(trial.state if trial.state in ENDED else "unfinished" for trial in trials)
    return {
        "name": name,
        "state": record.state,
        "trials": {
            state: states[state] for state in ("complete", "pruned", "failed", "unfinished")
        },
        "min_trials": MIN_TRIALS,
        "num_shuffles": NUM_SHUFFLES,
        "targets": answers(spec, trials),
        "caveat": CAVEAT,
    }


def answers(spec: Spec, trials: Sequence[Trial], num_shuffles: int = NUM_SHUFFLES) -> list[Json]:
    """What search trials tell of each number, the objectives first.

    Args:
        spec: The sweep file.
        trials: Its search's trials.
        num_shuffles: Shufflings of the results that importances are compared with; without any,
            ``beyond_chance`` is None.
    """
    return [_answer(spec.space, trials, target, num_shuffles) for target in _targets(spec)]


def _targets(spec: Spec) -> Iterator[_Target]:
    goals = objective_of(spec).goals
    for goal in goals:
        yield _Target(goal.name, -goal.sign)
    if LOSS_RATIO not in {goal.name for goal in goals}:
        yield _Target(LOSS_RATIO, 1.0)


def _answer(space: Space, trials: Sequence[Trial], target: _Target, num_shuffles: int) -> Json:
    pairs = [(trial, value) for trial in trials if (value := target.value(trial)) is not None]
    known, values = [trial for trial, _ in pairs], [value for _, value in pairs]
    part = TENTH if len(pairs) >= MIN_TRIALS_FOR_TENTH else THIRD
    answer = {
        "target": target.name,
        "direction": "minimize" if target.sign > 0 else "maximize",
        "num_trials": len(pairs),
    }
    reason = _why_not(space, values, trials, target, part)
    if reason is not None:
        return {**answer, "reason": reason, "best": None, "settings": []}
    costs = [target.sign * value for value in values]
    limit = _limit(costs, part)
    is_best = [cost <= limit for cost in costs]
    shares = importances(space, known, costs, part, num_shuffles)
    settings = [
        {
            "name": name,
            "importance": share,
            "beyond_chance": beyond,
            **_how(space, name, known, values, is_best),
        }
        for name, (share, beyond) in sorted(shares.items(), key=lambda item: (-item[1][0], item[0]))
    ]
    best = {
        "part": "tenth" if part == TENTH else "third",
        "num_trials": sum(is_best),
        "value": target.sign * limit,
    }
    return {**answer, "reason": None, "best": best, "settings": settings}


def _why_not(
    space: Space, values: Sequence[float], trials: Sequence[Trial], target: _Target, part: float
) -> str | None:
    """Why nothing can be told, or None."""
    if not space.varied:
        return "the search varies no setting"
    if len(values) < MIN_TRIALS:
        states = Counter(trial.state for trial in trials if trial.state != "complete")
        others = "".join(f", {count} {state}" for state, count in sorted(states.items()))
        return (
            f"it takes at least {MIN_TRIALS} complete trials with a {target.name}, found "
            f"{len(values)}{others}"
        )
    if min(values) == max(values):
        return f"all {len(values)} trials have the same {target.name}, {values[0]:.4g}"
    worst = max(values) if target.sign > 0 else min(values)
    if target.sign * worst <= _limit([target.sign * value for value in values], part):
        return (
            f"{values.count(worst)} of {len(values)} trials have the same {target.name}, "
            f"{worst:.4g}, and only {len(values) - values.count(worst)} a better one"
        )
    return None


def _limit(costs: Sequence[float], part: float) -> float:
    """The cost that the best part of the trials has at most, as PED-ANOVA counts them."""
    return sorted(costs)[math.ceil(part * len(costs)) - 1]


def _how(
    space: Space,
    name: str,
    trials: Sequence[Trial],
    values: Sequence[float],
    is_best: Sequence[bool],
) -> Json:
    """The direction in which a setting moves the number, and where the best trials lie.

    A setting that not every trial has is judged by those that have it.
    """
    rows = [
        (trial.settings[name], value, best)
        for trial, value, best in zip(trials, values, is_best, strict=True)
        if name in trial.varied
    ]
    settings, numbers, among_best = (list(column) for column in zip(*rows, strict=True))
    found = {"num_trials": len(rows)}
    parameter = space.varied[name]
    if isinstance(parameter, Choice):
        options = [
            _option(option, settings, numbers, among_best)
            for option in parameter.options
            if option in settings
        ]
        return {**found, "correlation": None, "options": options, "range": None}
    best = [setting for setting, is_one in zip(settings, among_best, strict=True) if is_one]
    return {
        **found,
        "correlation": _rank_correlation(settings, numbers),
        "options": None,
        "range": {"low": min(best), "high": max(best)} if best else None,
    }


def _option(
    option: object, settings: Sequence[object], values: Sequence[float], is_best: Sequence[bool]
) -> Json:
    mine = [place for place, setting in enumerate(settings) if setting == option]
    return {
        "option": option,
        "num_trials": len(mine),
        "num_best": sum(is_best[place] for place in mine),
        "mean": math.fsum(values[place] for place in mine) / len(mine),
    }


def _rank_correlation(settings: Sequence[float], values: Sequence[float]) -> float | None:
    """Spearman's, or None where one of both does not vary."""
    if len(set(settings)) < 2 or len(set(values)) < 2:
        return None
    return float(stats.spearmanr(np.asarray(settings, float), np.asarray(values, float)).statistic)
