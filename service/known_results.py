"""The same point is never trained twice: the known result is used, and said so."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from service.trials import Result, Settings, Trial

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


def of_trials(trials: Iterable[Trial]) -> dict[Key, str]:
    """Points of a sweep that were trained to the end, the first where several are the same."""
    trained = (trial for trial in trials if trial.same_as is None)
    return {key(trial.settings, trial.seeds): trial.trial_id for trial in distinct(trained)}


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
