"""Confirmation: are the finalists better on seeds the search never saw, at no cost in loss?

The best of many noisy trials looks better than it is. So the finalists and the baseline are
trained again on fresh seeds, paired seed by seed, and a finalist wins only if two statements hold
at once: its loss is not worse than the baseline's by more than the margin (non-inferiority), and
its objective is higher (superiority). Both intervals are corrected (Bonferroni) for the number of
settings that were ever confirmed in the sweep, extensions counted in, so that the chance of any
false winner stays at the stated level.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.intervals import CONFIDENCE, Interval, mean_interval
from service.trials import Point, Settings, Trial

BASELINE = "baseline"
# Between a search trial's id and the baseline's width, at which it is confirmed but cannot win.
_AT = " at "

# What a verdict shows of each candidate, with intervals.
SHOWN = ("loss", "monosemantic_per_feature", "monosemantic_per_neuron", "feature_coverage")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Settings to confirm, and what they stand for.

    Attributes:
        role: ``baseline``, a search trial's id, or ``search/12 at 512``.
        settings: Every setting of the network.
        is_finalist: Whether it can win; the setting moved to the baseline's width cannot, it
            tells what of the gain is the width's.
    """

    role: str
    settings: Settings
    is_finalist: bool


def candidates(baseline: Settings, ranking: Sequence[Trial], num_finalists: int) -> list[Candidate]:
    """The baseline, the finalists, and the best setting at the baseline's own width.

    The last is the best feasible search trial of that width; where the search tried none, it is
    the best finalist's setting moved to that width. None is added where a finalist has it already.

    Args:
        baseline: The baseline's settings.
        ranking: Feasible search trials, best first.
        num_finalists: How many of them to confirm.
    """
    finalists = ranking[:num_finalists]
    chosen = [Candidate(role=BASELINE, settings=baseline, is_finalist=False)]
    chosen += [
        Candidate(role=trial.trial_id, settings=trial.settings, is_finalist=True)
        for trial in finalists
    ]
    width = baseline["num_neurons"]
    if not finalists or any(trial.settings["num_neurons"] == width for trial in finalists):
        return chosen
    same_width = next((t for t in ranking if t.settings["num_neurons"] == width), finalists[0])
    return [
        *chosen,
        Candidate(
            role=f"{same_width.trial_id}{_AT}{width}",
            settings={**same_width.settings, "num_neurons": width},
            is_finalist=False,
        ),
    ]


def points(chosen: Sequence[Candidate], seeds: Sequence[int]) -> list[Point]:
    """One trial for each candidate and fresh seed."""
    return [
        Point(settings=candidate.settings, seeds=(seed,), role=candidate.role)
        for candidate in chosen
        for seed in seeds
    ]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What confirmation found of one candidate, against the baseline on the same seeds.

    Attributes:
        candidate: The candidate.
        num_seeds: Seeds on which both it and the baseline ended complete.
        metrics: 95% interval of each shown number; empty with fewer than two seeds.
        loss_ratio: 95% interval of the paired loss ratio, or None.
        gain: 95% interval of the paired difference of the objective, or None.
        shortfalls: Why it cannot win, in words; empty if both statements hold.
    """

    candidate: Candidate
    num_seeds: int
    metrics: Mapping[str, Interval]
    loss_ratio: Interval | None
    gain: Interval | None
    shortfalls: tuple[str, ...]

    @property
    def passes(self) -> bool:
        """Whether loss is not inferior and the objective superior."""
        return not self.shortfalls


def findings(
    chosen: Sequence[Candidate],
    trials: Sequence[Trial],
    *,
    objective: str,
    loss_margin: float,
) -> list[Finding]:
    """What the confirmation trials say of every candidate, the baseline first.

    Args:
        chosen: The candidates, the baseline among them.
        trials: The ended confirmation trials.
        objective: Name of the number to maximise.
        loss_margin: How far above the baseline a loss may be, as a fraction.
    """
    by_role: dict[str, dict[int, Mapping[str, float]]] = {}
    failures: dict[str, list[str]] = {}
    for trial in trials:
        role = str(trial.role)
        if trial.result is not None and trial.result.state == "complete":
            by_role.setdefault(role, {})[trial.seeds[0]] = trial.result.metrics
        elif trial.result is not None:
            failures.setdefault(role, []).append(f"seed {trial.seeds[0]} {trial.result.reason}")
    tested = {candidate.role for candidate in chosen if candidate.is_finalist}
    tested |= finalists_ever(trials)
    corrected = 1.0 - (1.0 - CONFIDENCE) / max(len(tested), 1)
    baseline = by_role.get(BASELINE, {})
    return [
        _finding(
            candidate,
            by_role.get(candidate.role, {}),
            baseline,
            failures.get(candidate.role, []),
            objective=objective,
            loss_margin=loss_margin,
            confidence=corrected,
        )
        for candidate in chosen
    ]


def finalists_ever(trials: Sequence[Trial]) -> set[str]:
    """Search trials that these ended confirmation trials are of, former finalists too."""
    roles = {str(trial.role) for trial in trials if trial.result is not None}
    return {role for role in roles if role != BASELINE and _AT not in role}


def _finding(
    candidate: Candidate,
    mine: Mapping[int, Mapping[str, float]],
    baseline: Mapping[int, Mapping[str, float]],
    failures: Sequence[str],
    *,
    objective: str,
    loss_margin: float,
    confidence: float,
) -> Finding:
    seeds = sorted(seed for seed in set(mine) & set(baseline) if baseline[seed]["loss"] > 0.0)
    if len(seeds) < 2:
        return Finding(
            candidate=candidate,
            num_seeds=len(seeds),
            metrics={},
            loss_ratio=None,
            gain=None,
            shortfalls=(*failures, f"only {len(seeds)} seeds shared with the baseline"),
        )
    ratios = [mine[seed]["loss"] / baseline[seed]["loss"] for seed in seeds]
    gains = [mine[seed][objective] - baseline[seed][objective] for seed in seeds]
    return Finding(
        candidate=candidate,
        num_seeds=len(seeds),
        metrics={name: mean_interval([mine[seed][name] for seed in seeds]) for name in SHOWN},
        loss_ratio=mean_interval(ratios),
        gain=mean_interval(gains),
        shortfalls=(
            *failures,
            *_loss_shortfall(mean_interval(ratios, confidence), loss_margin, confidence),
            *_gain_shortfall(mean_interval(gains, confidence), objective, confidence),
        ),
    )


def _loss_shortfall(ratio: Interval, loss_margin: float, confidence: float) -> list[str]:
    ceiling = 1.0 + loss_margin
    if ratio.high <= ceiling:
        return []
    return [
        f"its loss ratio may be as high as {ratio.high:.4f}, and must surely be at or below "
        f"{ceiling:.4f} ({confidence:.1%} interval)"
    ]


def _gain_shortfall(gain: Interval, objective: str, confidence: float) -> list[str]:
    if gain.low > 0.0:
        return []
    return [
        f"its gain in {objective.replace('_', ' ')} may be as low as {gain.low:+.4f}, and must "
        f"surely be above 0 ({confidence:.1%} interval)"
    ]


def winner(found: Sequence[Finding], objective: str) -> Finding | None:
    """The best finalist for which both statements hold; ties as in the search."""
    passing = [finding for finding in found if finding.candidate.is_finalist and finding.passes]
    if not passing:
        return None
    return min(
        passing,
        key=lambda finding: (
            -finding.metrics[objective].mean,
            finding.candidate.settings["num_neurons"],
            finding.loss_ratio.mean if finding.loss_ratio is not None else 0.0,
        ),
    )


def at_width(found: Sequence[Finding], num_neurons: object) -> Finding | None:
    """The best setting of this width for which both statements hold, the baseline aside.

    A candidate that was only moved to the width counts here, though it cannot win.
    """
    passing = [
        finding
        for finding in found
        if finding.candidate.role != BASELINE
        and finding.passes
        and finding.candidate.settings["num_neurons"] == num_neurons
    ]
    return max(
        passing, key=lambda finding: finding.gain.mean if finding.gain else 0.0, default=None
    )
