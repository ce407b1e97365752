"""The same point is never trained twice: the known result is used, and said so."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from service.trials import EarlierTrial, Result, Settings, Trial

Key = tuple[tuple[int, ...], tuple[tuple[str, float | int | str], ...]]
# What a point is named by whose result is known: ``search/3``, or ``search/3 of NAME``.
Known = Mapping[Key, str]


def key(settings: Settings, seeds: Iterable[int]) -> Key:
    """What decides a trial's numbers, within one task, training and kind of processor."""
    return tuple(seeds), tuple(sorted(settings.items()))


def distinct(trials: Iterable[Trial]) -> list[Trial]:
    """Trials that ended complete, the first where several are the same."""
    found: dict[Key, Trial] = {}
    for trial in trials:
        if trial.state == "complete":
            found.setdefault(key(trial.settings, trial.seeds), trial)
    return list(found.values())


class Trained:
    """Points of a phase that were trained to the end, kept while it goes on.

    Attributes:
        known: The trial at each of them, that of the lowest number where several are the same.
    """

    def __init__(self) -> None:
        self.known: dict[Key, str] = {}
        self._numbers: dict[Key, int] = {}
        self._seen: set[int] = set()

    def look(self, trials: Iterable[Trial]) -> None:
        """Enter what has ended since the last look.

        Args:
            trials: All of the phase's trials.
        """
        for trial in trials:
            if trial.state != "complete" or trial.number in self._seen:
                continue
            self._seen.add(trial.number)
            point = key(trial.settings, trial.seeds)
            # Cohorts do not end in the order of their numbers.
            if trial.same_as is None and trial.number <= self._numbers.get(point, trial.number):
                self._numbers[point] = trial.number
                self.known[point] = trial.trial_id


def of_trials(trials: Iterable[Trial]) -> dict[Key, str]:
    """The points of a phase that were trained to the end; see ``Trained``."""
    trained = Trained()
    trained.look(trials)
    return trained.known


def taken_over(trial: Trial, attempt: int, known: Result) -> Result:
    """The result of a trial that is not trained.

    Args:
        trial: The trial.
        attempt: The execution of its cohort.
        known: The result of the trial that it is the same as.
    """
    return replace(
        known,
        trial_id=trial.trial_id,
        attempt=attempt,
        reason=f"the same point as {trial.same_as}, whose result it has",
    )


def of_untrained(
    members: Iterable[Trial],
    attempt: int,
    trials: Sequence[Trial],
    earlier: Sequence[EarlierTrial],
) -> list[Result]:
    """Results of those of a cohort's trials that are not trained.

    Args:
        members: The cohort's trials.
        attempt: Its execution.
        trials: Every trial of the sweep, with the results that are known by now.
        earlier: The trials of other sweeps from which its search started warm.
    """
    return [
        taken_over(trial, attempt, _named(trial.same_as, trials, earlier))
        for trial in members
        if trial.same_as is not None
    ]


def _named(label: str, trials: Sequence[Trial], earlier: Sequence[EarlierTrial]) -> Result:
    for one in earlier:
        if one.label == label:
            # Its files are the other sweep's, and go with it; so is the baseline it stood against.
            return replace(one.result, curves=None, neurons=None, standings=None)
    known = next(trial.result for trial in trials if trial.trial_id == label)
    assert known is not None
    return known
