"""A search that starts from what earlier sweeps found: which ones may be named, and what is used.

What is used is recorded once, with the sweep: the other one may go on, or be deleted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from service import known_results
from service.errors import SweepNotFoundError, UserError
from service.ledger import Ledger, SweepRecord
from service.planning import Resolved
from service.recorded import spec_of
from service.spec import Spec, differences
from service.trials import EarlierTrial, Result, Settings

# Of a sweep's training what its trials have in common; the rest is each trial's own.
TRAINING = ("num_steps", "batch_size", "optimizer", "schedule")


def check(ledger: Ledger, spec: Spec) -> None:
    """Refuse to start from what is not comparable.

    Raises:
        UserError: If a sweep that the file names is not there, is being deleted, or has another
            task, training or objective.
    """
    for name in spec.search.warm_start:
        try:
            record = ledger.sweep(name)
        except SweepNotFoundError as error:
            known = ", ".join(ledger.names()) or "none at all"
            raise UserError(
                f"search.warm_start must name sweeps of this ledger, found {name!r}, which is not "
                f"there (there are: {known}). Correct the name or remove it."
            ) from error
        record.check_is_kept()
        changed = differences(_comparable(spec_of(record)), _comparable(spec))
        if changed:
            raise UserError(
                "\n".join(
                    [
                        "search.warm_start must name sweeps of the same task, training and "
                        f"objective, found differences to {name!r}:",
                        *(f"  {line}" for line in changed),
                        "Remove it, or make them alike.",
                    ]
                )
            )


def _comparable(spec: Spec) -> dict[str, Any]:
    settings = spec.settings()
    training = {key: settings["training"][key] for key in TRAINING}
    return {"task": settings["task"], "training": training, "objective": settings["objective"]}


def gathered(
    ledger: Ledger, spec: Spec, resolved: Resolved, versions: Mapping[str, str]
) -> list[EarlierTrial]:
    """The ended search trials of the sweeps that a search starts from, as they are now.

    Args:
        ledger: Where they are.
        spec: The sweep file.
        resolved: What this sweep runs with.
        versions: What this sweep recorded of itself.

    Raises:
        UserError: As ``check``.
    """
    check(ledger, spec)
    return [
        EarlierTrial(
            sweep=name,
            settings=trial.settings,
            seeds=trial.seeds,
            result=trial.result,
            is_same=is_same,
        )
        for name in spec.search.warm_start
        for is_same in [_is_same(ledger.sweep(name), resolved, versions)]
        for trial in ledger.trials(name, "search")
        if trial.result is not None
    ]


def _is_same(record: SweepRecord, resolved: Resolved, versions: Mapping[str, str]) -> bool:
    """Whether its trials have the very numbers that they would have here."""
    theirs = record.resolved or {}
    return (
        _of_numbers(record.versions) == _of_numbers(versions)
        and theirs.get("precision") == resolved.precision
        and theirs.get("device") == resolved.device
    )


def _of_numbers(versions: Mapping[str, str]) -> dict[str, str]:
    return {what: version for what, version in versions.items() if what != "storage"}


def judged(trial: EarlierTrial, baseline: Mapping[int, float]) -> Result:
    """Its result with the loss ratio against this sweep's baseline, which may be another.

    How it stood while it was in training, which was against the other one, is left out.

    Args:
        trial: An earlier sweep's trial.
        baseline: Loss of this sweep's baseline by seed; where the trial has another seed, the mean
            stands for it.
    """
    result = replace(trial.result, standings=None)
    if result.state != "complete":
        return result
    mean = sum(baseline.values()) / len(baseline)
    ratios = [
        replicate["loss"] / baseline.get(seed, mean)
        for replicate, seed in zip(result.replicates, trial.seeds, strict=True)
    ]
    return replace(result, loss_ratio=sum(ratios) / len(ratios))


def learnt(
    trials: Sequence[EarlierTrial], baseline: Mapping[int, float]
) -> list[tuple[Settings, Result]]:
    """What a search is told of earlier sweeps: each trial's settings, and its result as judged.

    Args:
        trials: The earlier sweeps' trials.
        baseline: Loss of this sweep's baseline by seed.
    """
    return [(trial.settings, judged(trial, baseline)) for trial in trials]


def known(trials: Sequence[EarlierTrial]) -> dict[known_results.Key, str]:
    """Points of earlier sweeps whose results hold here too, by what they are called."""
    return {
        known_results.key(trial.settings, trial.seeds): trial.label
        for trial in reversed(trials)
        if trial.is_same and trial.result.state == "complete"
    }
