"""The objective and the constraint of a trial: numbers with a direction, against the baseline."""

from collections.abc import Mapping, Sequence

from service.ledger import FAR_BEYOND
from service.trials import Result, Trial


def baseline_losses(trials: Sequence[Trial], learning_rate: float) -> dict[int, float]:
    """Loss of each complete baseline trial at one learning rate, by seed."""
    return {
        trial.seeds[0]: trial.result.metrics["loss"]
        for trial in trials
        if trial.result is not None
        and trial.result.state == "complete"
        and trial.settings["learning_rate"] == learning_rate
    }


def loss_ratio(
    replicates: Sequence[Mapping[str, float]], seeds: Sequence[int], baseline: Mapping[int, float]
) -> float | None:
    """Mean over shared replicates r of loss(trial, r) / loss(baseline, r).

    Args:
        replicates: Reported numbers of each replicate.
        seeds: The replicates' seeds, in the same order.
        baseline: Loss of the baseline by seed.

    Returns:
        The ratio, or None if trial and baseline share no replicate.
    """
    ratios = [
        replicate["loss"] / baseline[seed]
        for replicate, seed in zip(replicates, seeds, strict=True)
        if seed in baseline
    ]
    return sum(ratios) / len(ratios) if ratios else None


def is_feasible(result: Result, loss_margin: float) -> bool:
    """Whether a trial is complete and within the ceiling; nothing else can become best."""
    return (
        result.state == "complete"
        and result.loss_ratio is not None
        and constraint(result, loss_margin) <= 0.0
    )


def constraint(result: Result, loss_margin: float) -> float:
    """What the sampler is told: feasible at or below 0, far beyond it for a diverged trial."""
    if result.loss_ratio is None:
        return FAR_BEYOND
    return result.loss_ratio - (1.0 + loss_margin)


def ranked(trials: Sequence[Trial], objective: str, loss_margin: float) -> list[Trial]:
    """Feasible trials, best first; ties go to fewer neurons, then to the earlier trial."""
    feasible = [
        (trial, trial.result)
        for trial in trials
        if trial.result is not None and is_feasible(trial.result, loss_margin)
    ]
    feasible.sort(
        key=lambda pair: (
            -pair[1].metrics[objective],
            pair[0].settings["num_neurons"],
            pair[0].number,
        )
    )
    return [trial for trial, _ in feasible]
