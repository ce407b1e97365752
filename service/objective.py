"""The objective and the constraint of a trial: numbers with a direction, against the baseline."""

from collections.abc import Collection, Mapping, Sequence

from service.trials import Result, Trial

# A diverged trial is told with this constraint, in units of the loss ratio: so far beyond the
# ceiling that the sampler learns to stay away.
FAR_BEYOND = 1e6


def baseline_losses(trials: Sequence[Trial], learning_rate: float) -> dict[int, float]:
    """Loss of each complete baseline trial at one learning rate, by seed."""
    return {
        trial.seeds[0]: trial.result.metrics["loss"]
        for trial in trials
        if trial.result is not None
        and trial.result.state == "complete"
        and trial.settings["learning_rate"] == learning_rate
    }


def baseline_rate(trials: Sequence[Trial]) -> float | None:
    """The baseline's learning rate: of those trained on most seeds the one of lowest mean loss.

    Rates that diverged on some seeds are not compared with rates that did not: their means would
    be over other seeds.

    Args:
        trials: Baseline trials, ended or not.

    Returns:
        The rate, or None while no trial is complete.
    """
    losses = {
        rate: found
        for rate in {float(trial.settings["learning_rate"]) for trial in trials}
        if (found := baseline_losses(trials, rate))
    }
    return min(
        losses,
        key=lambda rate: (-len(losses[rate]), _mean(losses[rate].values()), rate),
        default=None,
    )


def _mean(values: Collection[float]) -> float:
    return sum(values) / len(values)


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
    """Feasible at or below 0; far beyond it for a trial without a loss ratio."""
    if result.loss_ratio is None:
        return FAR_BEYOND
    return result.loss_ratio - (1.0 + loss_margin)


def ranked(trials: Sequence[Trial], objective: str, loss_margin: float) -> list[Trial]:
    """Feasible trials, best first.

    Ties go to fewer neurons, then to the lower loss ratio, then to the earlier trial.
    """
    feasible = [
        (trial, trial.result)
        for trial in trials
        if trial.result is not None and is_feasible(trial.result, loss_margin)
    ]
    feasible.sort(
        key=lambda pair: (
            -pair[1].metrics[objective],
            pair[0].settings["num_neurons"],
            pair[1].loss_ratio,
            pair[0].number,
        )
    )
    return [trial for trial, _ in feasible]
