"""The rules about what is left over: whether the polysemantic neurons can be understood.

Fixed in the same way as ``rules``. Networks are looked into that few sweeps keep: those of a
batch's most monosemantic points, trained again to the same bits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.home import Home
from service.interpreted import Interpreted, interpreted
from service.network_of_trial import network_of
from service.opened import open_sweep
from service.paper.judgement import Evidence, held_in
from service.paper.result import BatchResult
from service.paper.rules import CLEARLY_MORE, most_monosemantic
from trainers.interpretation import Part
from trainers.interpretation.finding import CLEAR_SDS, is_correction


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
    """What polysemantic neurons do together, the diffuse ones of them, and what they matter."""
    return (
        _correction(
            "the polysemantic neurons together act as a correction that is the same for every "
            "feature (an approximate identity over features), in every network",
            [(one.batch, one.polysemantic) for one in networks],
        ),
        _correction(
            "so do at least those of them of which no feature makes up half of the responses",
            [(one.batch, one.diffuse) for one in networks],
        ),
        _costs_less(networks),
    )


def _correction(says: str, parts: Sequence[tuple[str, Part]]) -> Evidence:
    measured = "; ".join(f"{batch}: {_likeness(part)}" for batch, part in parts)
    return Evidence(
        says=says,
        measured=measured or "no network has clearly any monosemantic neurons",
        verdict=held_in([is_correction(part) for _, part in parts]),
    )


def _likeness(part: Part) -> str:
    like, count = part.block.likeness, len(part.block.neurons)
    if like is None:
        return f"{count} neurons, no likeness defined"
    return (
        f"{count} neurons, likeness to the best identity of rank {like.rank} {like.value:.2f} "
        f"(by chance {like.by_chance.mean():.2f}, at best {like.best:.2f}), varying by "
        f"{like.spread:.2f} of its mean over features"
    )


def _costs_less(networks: Sequence[Understood]) -> Evidence:
    """Held-out loss without them beside that without as many monosemantic ones."""
    cases, words = [], []
    for one in networks:
        removal = one.polysemantic.removal
        if not len(removal.choices):
            continue
        # The first row is the task's own samples.
        without, other = float(removal.without[0]), float(removal.without_monosemantic[0])
        spread = float(removal.without_monosemantic_sd[0])
        cases.append(without < other - CLEAR_SDS * spread)
        words.append(
            f"{one.batch}: loss {removal.loss[0]:.3f}, {without:.3f} without its "
            f"{len(one.polysemantic.block.neurons)} polysemantic, "
            f"{other:.3f} ± {spread:.3f} without as many monosemantic"
        )
    return Evidence(
        says="to remove them costs clearly less loss than to remove as many monosemantic ones",
        measured="; ".join(words) or "no network has as many monosemantic as polysemantic neurons",
        verdict=held_in(cases),
    )
