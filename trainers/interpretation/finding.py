"""What was found of a network's neurons, in words that the numbers carry and no others."""

import numpy as np
from numpy.typing import NDArray

from trainers.interpretation.block import Block
from trainers.interpretation.interpretation import Interpretation, Part
from trainers.interpretation.likeness import Likeness
from trainers.interpretation.neurons import DIFFUSE_BELOW, NeuronTable
from trainers.interpretation.removal import NUM_DRAWS, Removal

# Of fewer neurons no spectrum is worth a word.
FEW_NEURONS = 4
# Where a likeness lies between chance, 0, and the best it could be, 1: an identity from here on,
LIKE_FROM = 0.75
# none up to here, and in between one in part.
UNLIKE_TO = 0.25
# The same for every feature: the standard deviation over features is below this part of the mean,
# beyond what maps have that favour no feature.
SAME_BELOW = 0.5
# A correction is not the computation itself: without it a network still has this part of what it
# gains over answering zero.
KEPT_FROM = 0.5
# What removing costs is told from another cost where it is so many standard deviations away.
CLEAR_SDS = 2.0


def finding_of(found: Interpretation) -> str:
    """One paragraph: the neurons, the polysemantic ones together, what is lost without them.

    Claims are made by the thresholds of this module, from the numbers alone.
    """
    whole, diffuse = found.polysemantic, found.diffuse
    num_polysemantic, num_diffuse = len(whole.block.neurons), len(diffuse.block.neurons)
    said = [_counts(found)]
    if not num_polysemantic:
        return " ".join([*said, "No polysemantic neuron is left, so there is nothing to explain."])
    said += _about_part(found, whole, "The polysemantic neurons")
    if 0 < num_diffuse < num_polysemantic:
        said.append(
            f"{num_diffuse} of the polysemantic neurons {_are(num_diffuse)} diffuse: no feature "
            f"makes up {DIFFUSE_BELOW:.0%} of {_their(num_diffuse)} responses."
        )
        said += _about_part(found, diffuse, "The diffuse neurons")
    return " ".join([*said, _conclusion(found)])


def is_correction(part: Part) -> bool:
    """Whether neurons together look like a correction that is the same for every feature.

    Their map is like an identity, gives back much the same of every feature, and the network does
    not stand on it: all three by the thresholds above.
    """
    like = part.block.likeness
    return (
        len(part.block.neurons) >= FEW_NEURONS
        and like is not None
        and _is_like(like)
        and _is_same(like)
        and _stands_without(part.removal)
    )


def _stands_without(removal: Removal) -> bool:
    """Whether enough is left of what a network gains over answering zero, on held-out samples."""
    zero = removal.loss_of_zero[0]
    gain, left = zero - removal.loss[0], zero - removal.without[0]
    return bool(gain > 0 and left >= KEPT_FROM * gain)


def _counts(found: Interpretation) -> str:
    table = found.neurons
    numbers = {kind: len(table.of_kind(kind)) for kind in ("monosemantic", "polysemantic", "dead")}
    num_features = found.network.task.num_features
    covered = f"for {len(table.covered)} of {num_features} features"
    return (
        f"Of {len(table.kind)} neurons {numbers['monosemantic']} are monosemantic"
        f"{_bracketed([covered, *_mean_bias(table, 'monosemantic')])}, {numbers['polysemantic']} "
        f"polysemantic{_bracketed(_mean_bias(table, 'polysemantic'))} and {numbers['dead']} dead."
    )


def _bracketed(words: list[str]) -> str:
    return f" ({', '.join(words)})" if words else ""


def _mean_bias(table: NeuronTable, kind: str) -> list[str]:
    neurons = table.of_kind(kind)
    return [f"mean bias {table.bias[neurons].mean():.2f}"] if len(neurons) else []


def _about_part(found: Interpretation, part: Part, who: str) -> list[str]:
    return [*_about_map(found, part, who), *_about_removal(found.neurons, part.removal, who)]


def _about_map(found: Interpretation, part: Part, who: str) -> list[str]:
    block, like = part.block, part.block.likeness
    if len(block.neurons) < FEW_NEURONS:
        return [f"{who} are too few to say what kind of map they make."]
    if not block.spectrum.rank:
        return [f"{who} together add nothing to any output."]
    rank = (
        f"{who} together make a map of effective rank {block.spectrum.effective_rank:.1f} "
        f"({_bound(found, block)})"
    )
    if like is None:
        return [
            f"{rank}; likeness to an identity is not defined for this task, whose target has no "
            "linear part."
        ]
    return [
        f"{rank}; its likeness to the best identity of rank {like.rank} is {like.value:.2f}, where "
        f"random maps reach {like.by_chance.max():.2f} and it could be {like.best:.2f}: "
        f"{_how_like(like)}.",
        f"What it gives back of a feature varies by {like.spread:.2f} of its mean "
        f"({like.spread_of_identities:.2f} where no feature is favoured), so it is "
        f"{'much' if _is_same(like) else 'not'} the same for every feature"
        f"{_by_cover(like.given_back, found.neurons.covered)}.",
    ]


def _bound(found: Interpretation, block: Block) -> str:
    """What the rank could be, and what sets it."""
    limits = {
        len(block.neurons): "so many neurons",
        found.network.decoder.shape[1]: "so many outputs",
        found.network.task.num_inputs: "so many inputs",
    }
    return f"at most {block.largest_rank}, since there are {limits[block.largest_rank]}"


def _how_like(like: Likeness) -> str:
    if _is_like(like):
        return "like an identity"
    if like.share <= UNLIKE_TO or like.value <= like.by_chance.max():
        return "not like an identity"
    return "like an identity in part only"


def _is_like(like: Likeness) -> bool:
    return like.share >= LIKE_FROM and like.value > like.by_chance.max()


def _is_same(like: Likeness) -> bool:
    return like.spread_beyond_identities < SAME_BELOW


def _by_cover(given_back: NDArray[np.float64], covered: NDArray[np.int64]) -> str:
    """The means for features with and without a monosemantic neuron, where there are both."""
    if not 0 < len(covered) < len(given_back):
        return ""
    others = np.delete(given_back, covered)
    return (
        f": {given_back[covered].mean():.2f} on average for features with a monosemantic neuron, "
        f"{others.mean():.2f} for the others"
    )


def _about_removal(table: NeuronTable, removal: Removal, who: str) -> list[str]:
    said = [
        f"Without them the held-out loss is {removal.without[0]:.3g} instead of "
        f"{removal.loss[0]:.3g} ({removal.loss_of_zero[0]:.3g} for answering zero)"
        f"{_where_better(removal)}."
    ]
    num_monosemantic = len(table.of_kind("monosemantic"))
    if not len(removal.choices):
        return [
            *said,
            f"The {num_monosemantic} monosemantic neurons are too few to remove as many of them "
            "for comparison."
            if num_monosemantic
            else "There are no monosemantic neurons to remove for comparison.",
        ]
    mean, deviation = removal.without_monosemantic[0], removal.without_monosemantic_sd[0]
    return [
        *said,
        f"Without as many monosemantic neurons it is {mean:.3g} (standard deviation "
        f"{deviation:.2g} over {NUM_DRAWS} random choices): {who[0].lower()}{who[1:]} matter "
        f"{_compared(removal.without[0], mean, deviation)}.",
    ]


def _compared(without: float, mean: float, deviation: float) -> str:
    if abs(without - mean) <= CLEAR_SDS * deviation:
        return "about as much"
    return "more" if without > mean else "less"


def _where_better(removal: Removal) -> str:
    """The numbers of active features at which the network is better off without the neurons."""
    better = removal.num_active[1:][removal.without[1:] < removal.loss[1:]]
    if not len(better):
        return ""
    numbers = ", ".join(str(number) for number in better)
    return f"; with exactly {numbers} active features it is lower"


def _conclusion(found: Interpretation) -> str:
    whole, diffuse = found.polysemantic, found.diffuse
    is_defined = whole.block.likeness is not None or not whole.block.spectrum.rank
    if not is_defined or len(whole.block.neurons) < FEW_NEURONS:
        return "Whether they are a correction that is the same for every feature stays open."
    if is_correction(whole):
        return f"{_so(whole, 'the polysemantic neurons')}."
    if is_correction(diffuse):
        others = "the polysemantic neurons as a whole are none"
        return f"{_so(diffuse, 'the diffuse neurons')}; {others}."
    for part, who in ((whole, "the polysemantic neurons"), (diffuse, "the diffuse neurons")):
        like = part.block.likeness
        if like is not None and _is_like(like) and _is_same(like):
            return (
                f"So {who} treat all features much alike, but too much of what the network does is "
                f"lost without them (more than {1 - KEPT_FROM:.0%} of what it gains over answering "
                "zero) to call them a correction."
            )
    return "So these are not neurons that add a correction which is the same for every feature."


def _so(part: Part, who: str) -> str:
    """The claim, no stronger than what a linear map can show."""
    return (
        f"So {who}, as far as a linear map can tell, add a correction of effective rank "
        f"{part.block.spectrum.effective_rank:.0f} that is much the same for every feature"
    )


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _their(number: int) -> str:
    return "its" if number == 1 else "their"
