"""The rules about what is left over: whether the polysemantic neurons can be understood.

They are the same at every size and budget, and each piece of evidence states its own. Unlike those
of ``rules`` they were not all fixed before anything was trained. What "few" and "low rank" mean was
written down only after networks had been looked into. And that neurons are told apart by how
diffuse they are is no word of the paper's, and was chosen after that too: what is found of the
diffuse ones is therefore a note beside the claim, which does not count.

Networks are looked into that few sweeps keep: those of a batch's most monosemantic points, trained
again to the same bits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from service.home import Home
from service.interpreted import Interpreted, interpreted
from service.network_of_trial import network_of
from service.opened import open_sweep
from service.paper.judgement import Evidence, held_in
from service.paper.result import BatchResult
from service.paper.rules import CLEARLY_MORE, most_monosemantic
from trainers.interpretation import Part, Removal
from trainers.interpretation.finding import (
    CLEAR_SDS,
    FEW_NEURONS,
    KEPT_FROM,
    LIKE_FROM,
    SAME_BELOW,
    is_correction,
)
from trainers.interpretation.neurons import DIFFUSE_BELOW

# Of the largest rank that a map of so many neurons, inputs and outputs could have.
LOW_RANK = 0.5


@dataclass(frozen=True)
class Understood:
    """The most monosemantic network of a batch, looked into.

    Attributes:
        batch: The batch's name.
        found: What its neurons do.
    """

    batch: str
    found: Interpreted

    @property
    def polysemantic(self) -> Part:
        """The polysemantic neurons together."""
        return self.found.interpretation.polysemantic

    @property
    def diffuse(self) -> Part:
        """Those of them that answer to no feature before all others."""
        return self.found.interpretation.diffuse


def understood(results: Iterable[BatchResult], home: Home) -> tuple[Understood, ...]:
    """Look into the most monosemantic network of each batch that has one worth a look.

    Args:
        results: What came of the batches.
        home: Where their sweeps were written.
    """
    found = []
    for result in results:
        if not result.complete:
            continue
        best = most_monosemantic(result.complete)
        if best.monosemantic >= CLEARLY_MORE:
            network = network_of(open_sweep(best.sweep, home), best.trial_id)
            found.append(Understood(result.name, interpreted(network)))
    return tuple(found)


def leftovers_are_a_correction(networks: Sequence[Understood]) -> tuple[Evidence, ...]:
    """Whether few polysemantic neurons are left, what they do together, and what they matter."""
    return (
        _are_few(networks),
        _are_of_low_rank(networks),
        _correction(
            "the polysemantic neurons together act as a correction that is the same for every "
            f"feature (an approximate identity over features), in every network: {_RULE}",
            [(one.batch, one.polysemantic) for one in networks],
        ),
        _costs_less(networks),
        replace(
            _correction(
                "by the same rule so do the diffuse ones of them, of which no feature makes up "
                f"{DIFFUSE_BELOW:.0%} of the responses. This distinction is monosweep's, not the "
                "paper's, and was chosen after trained networks had been looked at",
                [(one.batch, one.diffuse) for one in networks],
            ),
            is_note=True,
        ),
    )


_RULE = (
    f"likeness to an identity at least {LIKE_FROM} of the way from random maps to the best "
    "possible, and above all random maps; what is given back varying over features by less than "
    f"{SAME_BELOW} of its mean, beyond what it does where none is favoured; and at least "
    f"{KEPT_FROM} of the gain over answering zero kept without them"
)


@dataclass(frozen=True)
class _Case:
    """What was found of one network: whether it holds, None where that is not known."""

    holds: bool | None
    words: str


def _evidence(says: str, cases: Sequence[_Case]) -> Evidence:
    """Of something that must hold in every network in which it is known."""
    known = [case.holds for case in cases if case.holds is not None]
    num_unknown = len(cases) - len(known)
    words = [case.words for case in cases] or [_NO_NETWORK]
    if num_unknown:
        words.append(f"not tested in {num_unknown} of {len(cases)} networks")
    return Evidence(says=says, measured="; ".join(words), verdict=held_in(known))


_NO_NETWORK = "no network has clearly any monosemantic neurons"


def _are_few(networks: Sequence[Understood]) -> Evidence:
    """Fewer of them than of monosemantic neurons."""
    return _evidence(
        "few polysemantic neurons are left: fewer than there are monosemantic ones, in every "
        "network",
        [
            _Case(
                polysemantic < monosemantic,
                f"{one.batch}: {polysemantic} polysemantic, {monosemantic} monosemantic",
            )
            for one in networks
            for table in (one.found.interpretation.neurons,)
            for polysemantic, monosemantic in (
                (len(table.of_kind("polysemantic")), len(table.of_kind("monosemantic"))),
            )
        ],
    )


def _are_of_low_rank(networks: Sequence[Understood]) -> Evidence:
    return _evidence(
        "the map that the polysemantic neurons make together has a low rank: an effective rank of "
        f"at most {LOW_RANK} of the largest that so many neurons, inputs and outputs allow, in "
        "every network",
        [_rank(one.batch, one.polysemantic) for one in networks],
    )


def _rank(batch: str, part: Part) -> _Case:
    block, count = part.block, len(part.block.neurons)
    if count < FEW_NEURONS or not block.spectrum.rank:
        why = "too few for a rank" if count < FEW_NEURONS else "their map is zero"
        return _Case(None, f"{batch}: {_neurons(count)}, {why}")
    rank, largest = block.spectrum.effective_rank, block.largest_rank
    return _Case(
        rank <= LOW_RANK * largest,
        f"{batch}: {_neurons(count)}, effective rank {rank:.1f} of at most {largest} "
        f"({rank / largest:.3f} of it)",
    )


def _correction(says: str, parts: Sequence[tuple[str, Part]]) -> Evidence:
    return _evidence(says, [_acts(batch, part) for batch, part in parts])


def _acts(batch: str, part: Part) -> _Case:
    """Whether some neurons act as a correction, and every number that decides it."""
    like, count = part.block.likeness, len(part.block.neurons)
    if count < FEW_NEURONS:
        return _Case(None, f"{batch}: {_neurons(count)}, at least {FEW_NEURONS} are needed")
    if like is None:
        return _Case(None, f"{batch}: {_neurons(count)}, no likeness defined")
    chance = like.by_chance
    return _Case(
        is_correction(part),
        f"{batch}: {_neurons(count)}, likeness to the best identity of rank {like.rank} "
        f"{like.value:.3f}, {like.share:.3f} of the way from random maps (mean "
        f"{chance.mean():.3f}, at most {chance.max():.3f}) to the best possible ({like.best:.3f}); "
        f"varying over features by {like.spread_beyond_identities:.3f} of its mean beyond that; "
        f"{_kept(part.removal)}",
    )


def _kept(removal: Removal) -> str:
    """How much of what a network gains over answering zero is left, on held-out samples."""
    zero = float(removal.loss_of_zero[0])
    gain, left = zero - float(removal.loss[0]), zero - float(removal.without[0])
    if gain <= 0.0:
        return "the network gains nothing over answering zero"
    return f"{left / gain:.3f} of the gain over answering zero kept without them"


def _neurons(count: int) -> str:
    return f"{count} neuron{'s' * (count != 1)}"


def _costs_less(networks: Sequence[Understood]) -> Evidence:
    """Held-out loss without them beside that without as many monosemantic ones."""
    return _evidence(
        "to remove them costs clearly less loss than to remove as many monosemantic ones: by more "
        f"than {CLEAR_SDS:g} standard deviations of random choices of these, in every network",
        [_cost(one) for one in networks],
    )


def _cost(one: Understood) -> _Case:
    removal, count = one.polysemantic.removal, len(one.polysemantic.block.neurons)
    if not len(removal.choices):
        why = "more than there are monosemantic ones" if count else "none to remove"
        return _Case(None, f"{one.batch}: {count} polysemantic neurons, {why}")
    # The first row is the task's own samples.
    without, other = float(removal.without[0]), float(removal.without_monosemantic[0])
    spread = float(removal.without_monosemantic_sd[0])
    return _Case(
        without < other - CLEAR_SDS * spread,
        f"{one.batch}: loss {removal.loss[0]:.3f}, {without:.3f} without its {count} polysemantic, "
        f"{other:.3f} ± {spread:.3f} without as many monosemantic",
    )
