"""What each batch is to show, and whether it did.

Each batch is held to the claim of the paper's that it belongs to. Where the four claims say nothing
of what a batch varies (the L1 penalty of RG1, the bias decay of D1), it is held to the second one:
the recipe of a negative bias that decays must work wherever on the grid.
"""

from collections.abc import Callable, Mapping

from service.paper import rules
from service.paper.bias_rules import useful_bias
from service.paper.judgement import Evidence, Judgement, held_in
from service.paper.result import BatchResult, PointResult
from service.paper.sweep_files import grid_words

Judge = Callable[[BatchResult], Judgement]


def loss_is_blind(result: BatchResult) -> Judgement:
    """The first claim, of zero mean bias over the learning rates."""
    return Judgement(
        statement="Networks that differ only in the learning rate reach nearly the same loss with "
        "very different monosemanticity, which rises with the rate.",
        evidence=(
            rules.nearly_same_loss(result.points),
            rules.very_different(result.points),
            rules.rises_with(result.points, "learning_rate"),
        ),
    )


def bias_is_the_lever(result: BatchResult) -> Judgement:
    """The second claim's recipe, over the one grid of a batch."""
    (name,) = result.scaled.batch.grids
    return Judgement(
        statement="Biases that start at a mean of -1 and decay make the network highly "
        f"monosemantic at every {grid_words(name)}, at no cost in loss.",
        evidence=(
            rules.highly_monosemantic_at_every(result.points, name),
            rules.no_cost_beside_baseline(result.points, name, result.baseline_rate),
        ),
    )


def negative_bias_is_best(result: BatchResult) -> Judgement:
    """The second claim's lever, over initial biases; of two grids at each learning rate."""
    by_rate: dict[float, list[PointResult]] = {}
    for point in result.points:
        by_rate.setdefault(point.number("learning_rate"), []).append(point)
    found = {rate: rules.negative_is_best(points) for rate, points in by_rate.items()}
    best = Evidence(
        says="of the initial biases a negative one makes the network most monosemantic, by at "
        f"least {rules.CLEARLY_MORE} {rules.FEATURE}"
        + (", at every learning rate" if len(found) > 1 else ""),
        measured=f"{rules.FEATURE} "
        + ", ".join(f"{words} (learning rate {rate:g})" for rate, (_, words) in found.items()),
        verdict=held_in([holds for holds, _ in found.values() if holds is not None]),
    )
    return Judgement(
        statement="The most monosemantic network starts at a negative mean bias, at no cost in "
        "loss.",
        evidence=(best, _cost_of_best(by_rate.get(result.baseline_rate, []), result)),
    )


def _cost_of_best(points: list[PointResult], result: BatchResult) -> Evidence:
    """What the loss of the best negative bias is beside the baseline's, at its learning rate.

    A bias that brings no monosemantic neurons is not tested: that it costs nothing says nothing.
    """
    best = useful_bias(points)
    where = [] if best is None else [(f"initial bias {best.number('initial_bias'):g}", best)]
    return rules.no_cost(
        [(words, point.loss_ratio) for words, point in where],
        f"the zero-bias network's at learning rate {result.baseline_rate:g}",
    )


def denser_is_harder(result: BatchResult) -> Judgement:
    """What the second claim implies for one bias over many densities."""
    return Judgement(
        statement="The useful bias grows with the density, so that an initial bias of -1, right "
        "for 1/64, makes the network less monosemantic the denser the features are.",
        evidence=(rules.rises_with(result.points, "feature_density", falls=True),),
    )


def width_helps(result: BatchResult) -> Judgement:
    """The third claim, over widths."""
    return Judgement(
        statement="With more neurons than features the network nears one monosemantic neuron for "
        "each feature, while the loss hardly improves and the cost grows.",
        evidence=(
            rules.rises_with(result.points, "num_neurons"),
            rules.nears_one(result.points),
            rules.loss_hardly_improves(result.points, result.scaled.batch.num_features),
        ),
    )


_JUDGES: Mapping[str, Judge] = {
    **dict.fromkeys(("LR1", "LR2"), loss_is_blind),
    **dict.fromkeys(("LR3", "LR4", "LR5", "RG1", "RP1", "D1"), bias_is_the_lever),
    **dict.fromkeys(("B1", "B2", "B3", "B4", "B5", "G3"), negative_bias_is_best),
    **dict.fromkeys(("E1", "E2", "E3", "E4"), denser_is_harder),
    **dict.fromkeys(("K0", "K1", "K2"), width_helps),
}


def judged(result: BatchResult) -> Judgement:
    """Whether a batch's claim held in it."""
    return _JUDGES[result.name](result)
