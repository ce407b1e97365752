"""Early stopping inside a cohort: successive halving on the cohort's own curves.

At each rung, a step of the curve, the trials that are still in training are ranked, and the best
go on. The ranking is a function of the curves and of what the cohort was handed, so it is the same
after any interruption, and made twice it drops nobody more.

Source: Jamieson and Talwalkar 2016, *Non-stochastic Best Arm Identification and Hyperparameter
Optimization*.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from service.objective import LOSS_RATIO, NUM_NEURONS, Objective, in_words
from service.trials import Trial, by_trial

if TYPE_CHECKING:
    from service.spec import Spec
    from trainers import Evaluation, Record


# What is compared at a rung where the goal itself moves late: neurons cross the threshold of
# monosemanticity near the end, but their concentrations rise before.
LEADING = {"monosemantic_per_feature": "concentration_per_feature"}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a trial stands at a rung, its replicates averaged.

    Attributes:
        number: The trial's number.
        loss_ratio: Loss over the baseline's at the same step.
        num_neurons: Its width.
        objective: The search's objective, or what goes before it; see ``LEADING``.
    """

    number: int
    loss_ratio: float
    num_neurons: float
    objective: float


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """What a cohort's trials are stopped by, fixed when the search begins.

    Attributes:
        reduction: At a rung one trial in so many goes on, rounded up.
        objective: What the search is after: one goal, and limits. Those of the loss ratio and of
            the width are judged at a rung; the others are about the end of a training.
        baseline: The baseline's loss by rung, then by seed. The rungs are steps of the curve.
    """

    reduction: int
    objective: Objective
    baseline: Mapping[int, Mapping[int, float]]

    @property
    def rungs(self) -> tuple[int, ...]:
        """The steps at which trials are stopped."""
        return tuple(self.baseline)

    @property
    def _compared(self) -> str:
        """The number by which those within the limits are ranked, in the goal's direction."""
        return LEADING.get(self.objective.first.name, self.objective.first.name)

    def stopped(self, trials: Sequence[Trial], records: Sequence["Record"], step: int) -> set[int]:
        """Numbers of the trials that are not trained past a rung.

        A trial with a replicate that diverged has failed already, and is not ranked. Nor is one
        whose loss is not finite: it goes on until it is found to have diverged, which says more of
        its settings.

        Args:
            trials: The cohort's trials.
            records: What is known of their networks, trial by trial and seed by seed.
            step: The rung.
        """
        failed = {
            trial.number
            for trial, replicates in by_trial(trials, records)
            if not all(record.is_training_at(step) for record in replicates)
        }
        ranking = self.ranked(self._standings(trials, records, step))
        worst = ranking[num_kept(len(ranking), self.reduction) :]
        return failed | {standing.number for standing in worst}

    def standings(self, trial: Trial, records: Sequence["Record"]) -> dict[str, dict[str, float]]:
        """What a trial was compared by at each rung that it reached, by step and by number.

        Args:
            trial: The trial.
            records: What is known of its networks, one for each of its seeds.
        """
        return {
            str(step): {LOSS_RATIO: one.loss_ratio, self._compared: one.objective}
            for step in self.rungs
            for one in self._standings([trial], records, step)
        }

    def reason(
        self, trials: Sequence[Trial], records: Sequence["Record"], number: int, step: int
    ) -> str:
        """Why the trial of this number was stopped at a rung, for people."""
        ranking = self.ranked(self._standings(trials, records, step))
        rank, standing = next(
            (rank, one) for rank, one in enumerate(ranking, start=1) if one.number == number
        )
        found = f"loss ratio {standing.loss_ratio:.3f}"
        found += "".join(
            f", {standing.num_neurons:g} neurons, {limit.words} {limit.bound:g}"
            for limit in self.objective.limits
            if limit.name == NUM_NEURONS and limit.excess(standing.num_neurons) > 0.0
        )
        if self._excess(standing) <= 0.0 and self._compared != LOSS_RATIO:
            found += f", {in_words(self._compared)} {standing.objective:.3f}"
        return f"stopped at step {step}: rank {rank} of {len(ranking)} ({found})"

    def ranked(self, standings: Sequence[Standing]) -> list[Standing]:
        """Best first: those within the limits by the objective, the others by what is beyond."""

        def key(one: Standing) -> tuple[float, float, int]:
            gain = self.objective.first.gain(one.objective, 0.0)
            excess = self._excess(one)
            return excess, -gain if excess <= 0.0 else 0.0, one.number

        return sorted(standings, key=key)

    def _excess(self, one: Standing) -> float:
        """How far a trial is beyond the limits that can be judged now; 0 within all of them."""
        known = {LOSS_RATIO: one.loss_ratio, NUM_NEURONS: one.num_neurons}
        return sum(
            max(limit.excess(known[limit.name]), 0.0)
            for limit in self.objective.limits
            if limit.name in known
        )

    def _standings(
        self, trials: Sequence[Trial], records: Sequence["Record"], step: int
    ) -> list[Standing]:
        """Of the trials of which every replicate is still in training, with a finite loss."""
        return [
            self._standing(trial, evaluations, step)
            for trial, replicates in by_trial(trials, records)
            if all(record.is_training_at(step) for record in replicates)
            and len(evaluations := _evaluations(replicates, step)) == len(replicates)
        ]

    def _standing(self, trial: Trial, evaluations: Sequence["Evaluation"], step: int) -> Standing:
        baseline, goal = self.baseline[step], self._compared
        known = {
            LOSS_RATIO: fmean(
                evaluation.loss / baseline[seed]
                for evaluation, seed in zip(evaluations, trial.seeds, strict=True)
            ),
            NUM_NEURONS: float(trial.settings["num_neurons"]),
        }
        if goal not in known:
            known[goal] = fmean(getattr(evaluation, goal) for evaluation in evaluations)
        return Standing(
            number=trial.number,
            loss_ratio=known[LOSS_RATIO],
            num_neurons=known[NUM_NEURONS],
            objective=known[goal],
        )


def _evaluations(replicates: Sequence["Record"], step: int) -> list["Evaluation"]:
    found = (record.evaluation_at(step) for record in replicates)
    return [evaluation for evaluation in found if evaluation is not None]


def num_kept(num_trials: int, reduction: int) -> int:
    """Trials that go on past a rung: one in ``reduction``, rounded up."""
    return -(-num_trials // reduction)


def rungs(spec: "Spec") -> tuple[int, ...]:
    """Steps at which trials are stopped; none where early stopping is off."""
    stopping = spec.stopping
    if stopping is None:
        return ()
    found, step = [], first_step(stopping.first_step, spec.training.num_steps)
    while step < spec.training.num_steps:
        found.append(step)
        step *= stopping.reduction
    return tuple(found)


def first_step(written: int | str, num_steps: int) -> int:
    """The first rung: as written, or for ``auto`` the last power of two in a quarter of training.

    By then the concentrations tell the winners; at an eighth their loss still looks too high.
    """
    return 2 ** (max(num_steps // 4, 1).bit_length() - 1) if written == "auto" else int(written)


def steps_trained(spec: "Spec", num_trials: int, step: int) -> int:
    """Steps that the trials of a search's cohort were trained for together, if none diverged.

    Args:
        spec: The sweep file.
        num_trials: Trials in the cohort.
        step: Steps that the cohort has done.
    """
    steps, live, since, stopping = 0, num_trials, 0, spec.stopping
    for rung in rungs(spec):
        if stopping is None or rung >= step:
            break
        steps += live * (rung - since)
        live, since = num_kept(live, stopping.reduction), rung
    return steps + live * (step - since)


def share_trained(spec: "Spec", num_trials: int) -> float:
    """The part of a whole training that a trial of a cohort of this size gets on average."""
    num_steps = spec.training.num_steps
    return steps_trained(spec, num_trials, num_steps) / (num_trials * num_steps)
