"""The paper's claims, each judged from a few of its batches at one size and budget."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from service.paper import rules
from service.paper.bias_rules import biases_tell, useful_bias_goes_with_root
from service.paper.judgement import Evidence, Judgement
from service.paper.result import BatchResult
from service.paper.scaling import Scaling
from service.paper.understanding import Understood, leftovers_are_a_correction
from service.verdict import Json

# Small enough for half an hour on two cores, large enough for the effect to show.
CLAIMS_SCALING = Scaling(scale=2, num_steps=2**13, batch_size=256)


@dataclass(frozen=True)
class Found:
    """What claims are judged from.

    Attributes:
        batches: What came of each of ``BATCHES_OF_CLAIMS``, by name.
        networks: The most monosemantic networks of ``UNDERSTOOD``, looked into.
    """

    batches: Mapping[str, BatchResult]
    networks: tuple[Understood, ...]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One of the paper's claims.

    Attributes:
        number: Its number.
        statement: What the paper says.
        batches: Names of the batches that it is judged from.
        evidence: What was found to what it says, piece by piece.
    """

    number: int
    statement: str
    batches: tuple[str, ...]
    evidence: Callable[[Found], tuple[Evidence, ...]]


@dataclass(frozen=True, kw_only=True)
class JudgedClaim:
    """A claim, and whether it held.

    Attributes:
        claim: The claim.
        judgement: Its evidence.
        sweeps: The sweeps that it stands on.
    """

    claim: Claim
    judgement: Judgement
    sweeps: tuple[str, ...]

    def as_json(self) -> Json:
        """For programs."""
        return {
            "claim": self.claim.number,
            **self.judgement.as_json(),
            "batches": list(self.claim.batches),
            "sweeps": list(self.sweeps),
        }


def _of_the_loss(found: Found) -> tuple[Evidence, ...]:
    points = found.batches["LR1"].points
    return (
        rules.nearly_same_loss(points),
        rules.very_different(points),
        rules.rises_with(points, "learning_rate"),
    )


def _of_the_bias(found: Found) -> tuple[Evidence, ...]:
    results = found.batches
    without, with_bias = results["LR1"].points, results["LR3"].points
    pairs = [
        (f"learning rate {mine.number('learning_rate'):g}", mine, theirs)
        for mine, theirs in zip(with_bias, without, strict=True)
    ]
    ratios = [
        (where, mine.loss / theirs.loss if mine.is_complete else None)
        for where, mine, theirs in pairs
        if theirs.is_complete
    ]
    missing = [where for where, _, theirs in pairs if not theirs.is_complete]
    return (
        *biases_tell([*without, *with_bias]),
        rules.highly_monosemantic_at_every(with_bias, "learning_rate"),
        rules.no_cost(ratios, "that without a bias at the same rate", missing=missing),
        useful_bias_goes_with_root([results[name] for name in _BIAS_GRIDS]),
    )


def _of_the_width(found: Found) -> tuple[Evidence, ...]:
    return tuple(
        replace(piece, says=f"{name}: {piece.says}")
        for name in ("K0", "K1")
        for points in (found.batches[name].points,)
        for piece in (
            rules.rises_with(points, "num_neurons"),
            rules.nears_one(points),
            rules.loss_hardly_improves(points, found.batches[name].scaled.batch.num_features),
        )
    )


def _of_the_rest(found: Found) -> tuple[Evidence, ...]:
    return leftovers_are_a_correction(found.networks)


_BIAS_GRIDS = ("B1", "B2", "B3", "B4", "B5")
# The batches whose most monosemantic network is looked into.
UNDERSTOOD = ("LR1", "LR3", "K1")

CLAIMS = (
    Claim(
        number=1,
        statement="Loss does not see monosemanticity: networks that differ only in the learning "
        "rate reach nearly the same loss with very different monosemanticity, which rises with the "
        "rate.",
        batches=("LR1",),
        evidence=_of_the_loss,
    ),
    Claim(
        number=2,
        statement="A negative bias is the mark and the lever: monosemantic neurons sit at negative "
        "biases and polysemantic ones at small positive ones; a mean bias that starts at -1 and "
        "decays makes networks highly monosemantic at every learning rate, at no cost in loss; and "
        "the useful bias goes with the square root of the feature density.",
        batches=("LR1", "LR3", *_BIAS_GRIDS),
        evidence=_of_the_bias,
    ),
    Claim(
        number=3,
        statement="More neurons, more monosemanticity: with more neurons than features the network "
        "nears one monosemantic neuron for each feature, while the loss hardly improves and the "
        "cost grows.",
        batches=("K0", "K1"),
        evidence=_of_the_width,
    ),
    Claim(
        number=4,
        statement="The rest can be understood: the few polysemantic neurons that are left form a "
        "low-rank approximation of the identity over features, a correction that is the same for "
        "every feature.",
        batches=UNDERSTOOD,
        evidence=_of_the_rest,
    ),
)

# The batches of all claims, each once; those last that take longest, for one part of one claim.
BATCHES_OF_CLAIMS = ("LR1", "LR3", "K0", "K1", *_BIAS_GRIDS)


def judged(found: Found) -> list[JudgedClaim]:
    """Every claim, judged."""
    return [
        JudgedClaim(
            claim=claim,
            judgement=Judgement(statement=claim.statement, evidence=claim.evidence(found)),
            sweeps=tuple(sweep for name in claim.batches for sweep in found.batches[name].sweeps),
        )
        for claim in CLAIMS
    ]
