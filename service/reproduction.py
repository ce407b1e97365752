"""A trial trained again, here and alone, and whether it came to the same numbers."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import pyarrow as pa
import torch

from service.errors import UserError
from service.kept_code import kept_or_compiled
from service.machine import has_bfloat16_products, versions
from service.opened import OpenSweep
from service.planning import Resolved, training_settings
from service.trials import Trial
from trainers import (
    Member,
    Network,
    Record,
    Task,
    TrainingSettings,
    advance,
    begin,
    obtain_machine_code_by,
    trained_networks,
)
from trainers.names import METRICS

# Told how many steps are done.
OnStep = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The first number of a curve that is another than the one that was recorded.

    Attributes:
        seed: Of the network.
        step: Steps done.
        metric: Its name.
        recorded: What it was, None where there was no such step.
        again: What it is now, None where there is no such step.
    """

    seed: int
    step: int
    metric: str
    recorded: float | None
    again: float | None


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What came of a trial's second training.

    Attributes:
        trial: The trial, as it was recorded.
        num_steps: Steps that were done again: as many as the first time.
        num_numbers: Numbers of its curves that were compared.
        differences: The first one of each network that differs; none where every bit is the same.
        changed: Versions that are others than when the sweep was begun: then, now.
        networks: One for each seed; empty where it did not end complete.
    """

    trial: Trial
    num_steps: int
    num_numbers: int
    differences: tuple[Difference, ...]
    changed: Mapping[str, tuple[str, str]]
    networks: tuple[Network, ...]


def reproduce(sweep: OpenSweep, trial_id: str, on_step: OnStep = lambda _: None) -> Reproduction:
    """Train a trial again on this process, on its own seeds, and compare its curves.

    On one kind of processor, with the versions of the first time, every bit is the same, whatever
    was trained beside it then. Nothing is recorded.

    Args:
        sweep: The sweep.
        trial_id: The trial; a bare number means search.
        on_step: Told now and then how many steps are done.

    Raises:
        UserError: If there is no such trial, it has not ended or was never trained, or this machine
            cannot train it.
        StorageError: If its curves are gone or damaged.
        StorageAwayError: If the storage does not answer.
    """
    trial = sweep.trial(trial_id)
    recorded = sweep.curves_of(trial.trial_id)
    assert trial.result is not None
    if not recorded.num_rows:
        raise UserError(_without_curves(trial))
    assert sweep.record.resolved is not None
    resolved = Resolved(**sweep.record.resolved)
    _check_can_train(resolved)
    torch.set_num_threads(resolved.cpus)
    obtain_machine_code_by(kept_or_compiled)
    spec = sweep.spec
    state = begin(
        Task(**spec.task.model_dump()),
        TrainingSettings(**training_settings(spec, resolved.precision, resolved.device)),
        [Member(seed=seed, **trial.settings) for seed in trial.seeds],  # type: ignore[arg-type]
    )
    num_steps = trial.result.num_steps
    while state.step < num_steps and not state.finished:
        advance(state, min(state.chunk_steps, num_steps - state.step))
        on_step(state.step)
    differences = [
        _first_difference(seed, rows, again)
        for seed, rows, again in zip(
            trial.seeds, _by_replicate(recorded, len(trial.seeds)), state.records, strict=True
        )
    ]
    is_complete = trial.result.state == "complete" and state.finished
    networks = trained_networks(state) if is_complete else ()
    return Reproduction(
        trial=trial,
        num_steps=state.step,
        num_numbers=recorded.num_rows * len(METRICS),
        differences=tuple(one for one in differences if one is not None),
        changed=_changed(sweep.record.versions),
        networks=tuple(one for one in networks if one is not None),
    )


def _without_curves(trial: Trial) -> str:
    """Why there is nothing that a second training could be compared with."""
    if trial.same_as is not None:
        return (
            f"a trial must have been trained to be trained again, found that {trial.trial_id} has "
            f"the result of {trial.same_as}. Do it with that one, where it is kept."
        )
    reason = trial.result.reason if trial.result else None
    return (
        "a trial must have curves to be compared with, found none of "
        f"{trial.trial_id} ({trial.state}{f': {reason}' if reason else ''}). Name another."
    )


def _check_can_train(resolved: Resolved) -> None:
    if resolved.device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "a trial that was trained on a GPU must be trained again on one, found none that torch "
            "sees. Do it on another machine."
        )
    if (resolved.device, resolved.precision) == ("cpu", "bfloat16") and not has_bfloat16_products():
        raise UserError(
            "a trial that was trained with bfloat16 products must be trained again on a processor "
            "that has them, found one without. Do it on another machine."
        )


def _by_replicate(curves: pa.Table, num_replicates: int) -> list[dict[int, dict[str, float]]]:
    """Of each replicate the metrics by step, as they were recorded."""
    found: list[dict[int, dict[str, float]]] = [{} for _ in range(num_replicates)]
    for row in curves.to_pylist():
        found[row["replicate"]][row["step"]] = {name: row[name] for name in METRICS}
    return found


def _first_difference(
    seed: int, recorded: Mapping[int, Mapping[str, float]], again: Record
) -> Difference | None:
    now = {step: asdict(evaluation) for step, evaluation in again.points}
    for step in sorted(recorded.keys() | now.keys()):
        for name in METRICS:
            before, after = recorded.get(step, {}).get(name), now.get(step, {}).get(name)
            if before != after:
                return Difference(seed=seed, step=step, metric=name, recorded=before, again=after)
    return None


def _changed(recorded: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    here = versions()
    return {
        name: (recorded[name], here[name])
        for name in recorded.keys() & here.keys()
        if recorded[name] != here[name]
    }
