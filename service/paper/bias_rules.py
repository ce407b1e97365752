"""The rules about biases: where they end up, and which is the useful one at each density.

Fixed in the same way as ``rules``.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import pyarrow.compute as pc

from service.paper.judgement import Evidence, held_in
from service.paper.result import BatchResult, PointResult
from service.paper.rules import CLEARLY_MORE, FEATURE, most_monosemantic

# Of each kind in a network, for their median biases to be compared.
ENOUGH_NEURONS = 10
# Densities at which a useful bias was seen, for an exponent.
ENOUGH_DENSITIES = 3
# The square root's, and how far the measured one may be from it.
ROOT, NEAR_ROOT = 0.5, 0.25


@dataclass(frozen=True)
class _Biases:
    """Median biases of one network's neurons."""

    monosemantic: float
    polysemantic: float


def biases_tell(points: Sequence[PointResult]) -> tuple[Evidence, Evidence]:
    """Monosemantic neurons have a negative bias, polysemantic ones a small positive bias.

    Judged in each network that has enough neurons of both kinds.
    """
    found = [biases for point in points for biases in _median_biases(point)]
    where = (
        f"in {len(found)} networks with at least {ENOUGH_NEURONS} of each kind"
        if found
        else f"no network has at least {ENOUGH_NEURONS} of each kind"
    )
    mono = [each.monosemantic < 0.0 for each in found]
    poly = [0.0 < each.polysemantic < abs(each.monosemantic) for each in found]
    return (
        Evidence(
            says="the median bias of monosemantic neurons is negative in every network",
            measured=f"{where}: negative in {sum(mono)}"
            f"{_over([each.monosemantic for each in found])}"
            if found
            else where,
            verdict=held_in(mono),
        ),
        Evidence(
            says="that of polysemantic ones is positive and smaller, in every network",
            measured=f"so in {sum(poly)} of {len(poly)}"
            f"{_over([each.polysemantic for each in found])}"
            if found
            else where,
            verdict=held_in(poly),
        ),
    )


def _median_biases(point: PointResult) -> Iterator[_Biases]:
    """One for each of a point's networks that has enough neurons of both kinds."""
    for replicate in pc.unique(point.neurons["replicate"]).to_pylist():
        own = point.neurons.filter(pc.equal(point.neurons["replicate"], replicate))
        kinds, biases = np.asarray(own["kind"].to_pylist()), own["bias"].to_numpy()
        mono, poly = (biases[kinds == kind] for kind in ("monosemantic", "polysemantic"))
        if min(len(mono), len(poly)) >= ENOUGH_NEURONS:
            yield _Biases(float(np.median(mono)), float(np.median(poly)))


def _over(medians: Sequence[float]) -> str:
    return (
        f" (medians {min(medians):+.2f} to {max(medians):+.2f}, half below {median(medians):+.2f})"
    )


def useful_bias(points: Iterable[PointResult]) -> PointResult | None:
    """The point of a bias grid that is the most monosemantic; None where no bias is useful.

    A bias is useful if it is negative and clearly more neurons are monosemantic than none.
    """
    complete = [point for point in points if point.is_complete]
    if not complete:
        return None
    best = most_monosemantic(complete)
    is_useful = best.monosemantic >= CLEARLY_MORE and best.number("initial_bias") < 0.0
    return best if is_useful else None


def useful_bias_goes_with_root(results: Sequence[BatchResult]) -> Evidence:
    """The useful bias at each density goes with the density's square root.

    Args:
        results: Batches that vary the initial bias, each at a density of its own.
    """
    says = (
        "the most monosemantic initial bias goes with the feature density to the power of "
        f"{ROOT - NEAR_ROOT} to {ROOT + NEAR_ROOT}"
    )
    useful = [(result, useful_bias(result.points)) for result in results]
    each = "; ".join(f"{_density(result)}: {_words(result, best)}" for result, best in useful)
    seen = [best for _, best in useful if best is not None]
    if len(seen) < ENOUGH_DENSITIES:
        return Evidence(
            says=says,
            measured=f"a useful bias was seen at {len(seen)} of {len(results)} densities, at least "
            f"{ENOUGH_DENSITIES} are needed ({each})",
            verdict="not tested",
        )
    exponent = float(
        np.polyfit(
            [math.log(best.number("feature_density")) for best in seen],
            [math.log(-best.number("initial_bias")) for best in seen],
            deg=1,
        )[0]
    )
    return Evidence(
        says=says,
        measured=f"power {exponent:.2f} over {len(seen)} densities ({each})",
        verdict=held_in([abs(exponent - ROOT) <= NEAR_ROOT]),
    )


def _density(result: BatchResult) -> str:
    return f"density 1/{1 / result.scaled.batch.values('feature_density')[0]:.4g}"


def _words(result: BatchResult, best: PointResult | None) -> str:
    if best is not None:
        return f"bias {best.number('initial_bias'):g} with {best.monosemantic:.2f}"
    if not result.complete:
        return "nothing trained to the end"
    most = most_monosemantic(result.complete)
    return f"none useful, at most {most.monosemantic:.2f} {FEATURE}"
