"""The rules that decide what held, each with its number.

They are the same at every size and budget, and none was ever moved so that a claim would hold: such
a rule says nothing.
"""

from collections.abc import Sequence

from scipy.stats import spearmanr

from service.paper.judgement import Evidence, held_in
from service.paper.result import PointResult
from service.paper.sweep_files import grid_words

# Half way between no monosemantic neuron and one for each feature.
HIGHLY_MONOSEMANTIC = 0.5
# Between two networks that differ very much in monosemanticity: as much.
VERY_DIFFERENT = 0.5
# One monosemantic neuron for each feature, less a fifth.
NEAR_ONE = 0.8
# Twice the noise of a network on another seed, and more.
CLEARLY_MORE = 0.1
# Losses of many networks are nearly the same within so much of the lowest.
NEARLY_SAME_LOSS = 0.05
# One loss is no higher than another within the usual margin of a sweep.
NO_COST = 0.02
# Rank correlation (Spearman) from which something rises with something else.
RISES = 0.8

FEATURE = "monosemantic per feature"


def nearly_same_loss(points: Sequence[PointResult]) -> Evidence:
    """The losses of all points are nearly the same."""
    complete = [point for point in points if point.is_complete]
    says = f"the losses lie within {NEARLY_SAME_LOSS:.0%} of the lowest"
    if len(complete) < 2:
        return _too_few(says, points)
    losses = [point.loss for point in complete]
    above = max(losses) / min(losses) - 1.0
    return Evidence(
        says=says,
        measured=f"loss {min(losses):.3f} to {max(losses):.3f}, the highest {above:.0%} above the "
        f"lowest{_failed(points)}",
        verdict=held_in([above <= NEARLY_SAME_LOSS]),
    )


def very_different(points: Sequence[PointResult]) -> Evidence:
    """Some of the points are much more monosemantic than others."""
    complete = [point for point in points if point.is_complete]
    says = f"{FEATURE} ranges over at least {VERY_DIFFERENT}"
    if len(complete) < 2:
        return _too_few(says, points)
    found = [point.monosemantic for point in complete]
    return Evidence(
        says=says,
        measured=f"{FEATURE} {min(found):.2f} to {max(found):.2f}",
        verdict=held_in([max(found) - min(found) >= VERY_DIFFERENT]),
    )


def rises_with(points: Sequence[PointResult], name: str, *, falls: bool = False) -> Evidence:
    """Monosemanticity rises with a setting, or falls, by more than noise."""
    complete = [point for point in points if point.is_complete]
    way, sign = ("falls", -1.0) if falls else ("rises", 1.0)
    says = (
        f"{FEATURE} {way} with the {grid_words(name)} "
        f"(rank correlation at {'most' if falls else 'least'} {sign * RISES:+}, over a range of at "
        f"least {CLEARLY_MORE})"
    )
    if len(complete) < 3:
        return _too_few(says, points)
    found = [point.monosemantic for point in complete]
    settings = [point.number(name) for point in complete]
    correlation = _rank_correlation(settings, found)
    return Evidence(
        says=says,
        measured=f"rank correlation with the {grid_words(name)} {correlation:+.2f} "
        f"({_each(complete, name)})",
        verdict=held_in([sign * correlation >= RISES and max(found) - min(found) >= CLEARLY_MORE]),
    )


def _rank_correlation(settings: Sequence[float], found: Sequence[float]) -> float:
    if len(set(found)) == 1:  # there is none, and nothing rises or falls
        return 0.0
    # Of few points it is a fraction of small numbers, which rounding must not move past the rule.
    return round(float(spearmanr(settings, found).statistic), 9)


def highly_monosemantic_at_every(points: Sequence[PointResult], name: str) -> Evidence:
    """The network is highly monosemantic wherever it is on the grid."""
    cases = [point.is_complete and point.monosemantic >= HIGHLY_MONOSEMANTIC for point in points]
    complete = [point for point in points if point.is_complete]
    return Evidence(
        says=f"at least {HIGHLY_MONOSEMANTIC} {FEATURE} at every {grid_words(name)}",
        measured=f"so at {sum(cases)} of {len(cases)}"
        + (f" ({_each(complete, name)}{_failed(points)})" if complete else ""),
        verdict=held_in(cases),
    )


def no_cost(
    ratios: Sequence[tuple[str, float | None]], against: str, *, missing: Sequence[str] = ()
) -> Evidence:
    """Losses are no higher than others.

    Args:
        ratios: Where, in words, and the loss there over the other's; None where it is not known,
            since the network there failed.
        against: Whose the others are.
        missing: Where, in words, the other one failed: nothing can be held beside it.
    """
    cases = [ratio is not None and ratio <= 1.0 + NO_COST for _, ratio in ratios]
    each = ", ".join(
        f"{'failed' if ratio is None else f'{ratio:.3f} times'} at {where}"
        for where, ratio in ratios
    )
    return Evidence(
        says=f"a loss of at most {1.0 + NO_COST} times {against}",
        measured=(f"loss {each}" if ratios else f"no loss to hold beside {against}")
        + (f"; not tested at {', '.join(missing)}, where the other failed" if missing else ""),
        verdict=held_in(cases),
    )


def no_cost_beside_baseline(
    points: Sequence[PointResult], name: str, baseline_rate: float
) -> Evidence:
    """The loss is no higher than without a bias that is put there, at the baseline's own rate."""
    ratios = [
        (f"{grid_words(name)} {point.number(name):.4g}", point.loss_ratio)
        for point in points
        if point.number("learning_rate") == baseline_rate
    ]
    return no_cost(ratios, f"the zero-bias network's at learning rate {baseline_rate:g}")


def negative_is_best(points: Sequence[PointResult]) -> tuple[bool | None, str]:
    """Whether the most monosemantic network starts at a negative bias, and the numbers.

    It must have clearly more monosemantic neurons than any that starts at a bias of 0 or above.
    None where there are not both to compare.
    """
    complete = [point for point in points if point.is_complete]
    negative = [point for point in complete if point.number("initial_bias") < 0.0]
    others = [point for point in complete if point.number("initial_bias") >= 0.0]
    if not negative or not others:
        return None, f"too few points trained to the end{_failed(points)}"
    best, beside = most_monosemantic(negative), most_monosemantic(others)
    words = (
        f"{best.monosemantic:.2f} at {best.number('initial_bias'):g} against "
        f"{beside.monosemantic:.2f} at {beside.number('initial_bias'):g}"
    )
    return best.monosemantic >= beside.monosemantic + CLEARLY_MORE, words


def most_monosemantic(points: Sequence[PointResult]) -> PointResult:
    """Of complete points the best; of equal ones that of the smallest bias."""
    return max(points, key=lambda point: (point.monosemantic, -abs(point.number("initial_bias"))))


def nears_one(points: Sequence[PointResult]) -> Evidence:
    """The widest network has about one monosemantic neuron for each feature."""
    widest = points[-1]
    says = f"the widest network has at least {NEAR_ONE} {FEATURE}"
    if not widest.is_complete:
        return _too_few(says, points)
    return Evidence(
        says=says,
        measured=f"{widest.monosemantic:.2f} with {widest.number('num_neurons'):g} neurons "
        f"(coverage {widest.metrics['feature_coverage']:.2f})",
        verdict=held_in([widest.monosemantic >= NEAR_ONE]),
    )


def loss_hardly_improves(points: Sequence[PointResult], num_features: int) -> Evidence:
    """Past one neuron for each feature, more neurons hardly lower the loss, and cost more."""
    wide = [p for p in points if p.is_complete and p.number("num_neurons") > num_features]
    says = (
        f"with more neurons than features the loss falls by at most {NEARLY_SAME_LOSS:.0%}, from "
        "the narrowest to the widest"
    )
    if len(wide) < 2:
        return _too_few(says, points)
    first, last = wide[0], wide[-1]
    falls = 1.0 - last.loss / first.loss
    return Evidence(
        says=says,
        measured=f"loss {first.loss:.3f} with {first.number('num_neurons'):g} neurons, "
        f"{last.loss:.3f} with {last.number('num_neurons'):g} ({-falls:+.1%}), which took "
        f"{last.train_s / first.train_s:.1f} times as long",
        verdict=held_in([falls <= NEARLY_SAME_LOSS]),
    )


def _too_few(says: str, points: Sequence[PointResult]) -> Evidence:
    """Too little was trained to the end to decide."""
    return Evidence(
        says=says,
        measured=f"too few points trained to the end{_failed(points)}",
        verdict="not tested",
    )


def _each(points: Sequence[PointResult], name: str) -> str:
    return ", ".join(f"{point.monosemantic:.2f} at {point.number(name):.4g}" for point in points)


def _failed(points: Sequence[PointResult]) -> str:
    num = sum(not point.is_complete for point in points)
    return f"; {num} of {len(points)} points failed" if num else ""
