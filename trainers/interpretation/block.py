"""Some neurons of a network taken together, as one linear map over features."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers.interpretation.likeness import Likeness, likeness_of
from trainers.interpretation.spectrum import Spectrum, spectrum_of
from trainers.networks import Network


@dataclass(frozen=True, eq=False)
class Block:
    """Some neurons of a network as one map, as if all of them were above their thresholds.

    Attributes:
        neurons: Which neurons, ascending.
        map: ``M = W2[:, neurons] W1[neurons, :] P`` (output per feature). Shape
            ``[outputs, N]``, float64.
        spectrum: Its singular values, and how many of them matter.
        largest_rank: What its rank could be at most: no more than there are neurons, inputs or
            outputs.
        likeness: How like an identity M is; None where that is not defined: for a map that is
            zero, and for the absolute-value task. There a feature is as often negative as
            positive, so that the target has no linear part that a map could be like.
    """

    neurons: NDArray[np.int64]
    map: NDArray[np.float64]
    spectrum: Spectrum
    largest_rank: int
    likeness: Likeness | None


def block_of(network: Network, neurons: NDArray[np.int64]) -> Block:
    """Some neurons of a network as one map over features.

    Args:
        network: The network.
        neurons: Which of its neurons.
    """
    decoder = network.decoder[neurons].astype(np.float64)
    encoder = network.encoder[neurons].astype(np.float64)
    features_to_outputs = decoder.T @ (encoder @ network.projection)
    found = spectrum_of(features_to_outputs)
    return Block(
        neurons=neurons,
        map=features_to_outputs,
        spectrum=found,
        largest_rank=min(len(neurons), network.task.num_inputs, network.decoder.shape[1]),
        likeness=likeness_of(network, found),
    )
