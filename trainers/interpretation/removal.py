"""What the loss becomes when neurons are taken out of a network."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trainers.evaluation import held_out_loss
from trainers.features import Stream, generator
from trainers.interpretation.active import active_counts, samples_with_active
from trainers.interpretation.neurons import NeuronTable
from trainers.networks import Network
from trainers.passes import passes_of
from trainers.samples import Samples

NUM_DRAWS = 8
# Held-out samples, in which the number of active features varies as the task has it.
HELD_OUT = -1


@dataclass(frozen=True, eq=False)
class Removal:
    """Losses on R kinds of samples: squared error summed over outputs, averaged over samples.

    Attributes:
        num_active: How many features are active in each sample: ``HELD_OUT``, then 0, 1, 2, 4, ...
            Shape ``[R]``, ascending.
        loss: Of the whole network. Shape ``[R]``.
        loss_of_zero: Of answering zero. Shape ``[R]``.
        without: Without the neurons. Shape ``[R]``.
        choices: Without each of D random choices of as many monosemantic neurons. Shape
            ``[D, R]``; D is 0 where there are fewer of them than were taken out, or none was.
    """

    num_active: NDArray[np.int64]
    loss: NDArray[np.float64]
    loss_of_zero: NDArray[np.float64]
    without: NDArray[np.float64]
    choices: NDArray[np.float64]

    @property
    def without_monosemantic(self) -> NDArray[np.float64]:
        """Mean over the choices; NaN where there is none. Shape ``[R]``."""
        return self.choices.mean(axis=0) if len(self.choices) else self.loss * np.nan

    @property
    def without_monosemantic_sd(self) -> NDArray[np.float64]:
        """Standard deviation over the choices; NaN where there is none. Shape ``[R]``."""
        return self.choices.std(axis=0, ddof=1) if len(self.choices) else self.loss * np.nan


def removal_of(
    network: Network, table: NeuronTable, neurons: NDArray[np.int64], held_out: Samples
) -> Removal:
    """Take neurons out of a network, and for comparison as many monosemantic ones.

    Args:
        network: The network.
        table: Its neurons.
        neurons: Which to take out, none of them monosemantic.
        held_out: The samples of its seed.
    """
    choices = _choices(network.member.seed, table, len(neurons))
    everything = np.arange(len(network.bias))
    networks = [network, *(without(network, one) for one in (everything, neurons, *choices))]
    counts = active_counts(network.task.num_features)
    kinds = (held_out, *(samples_with_active(network, int(count)) for count in counts))
    rows = [_losses(networks, samples) for samples in kinds]
    loss, loss_of_zero, without_them, *of_choices = np.array(rows).T
    return Removal(
        num_active=np.array([HELD_OUT, *counts], dtype=np.int64),
        loss=loss,
        loss_of_zero=loss_of_zero,
        without=without_them,
        choices=np.array(of_choices).reshape(len(choices), len(rows)),
    )


def without(network: Network, neurons: NDArray[np.int64]) -> Network:
    """A network in which some neurons are not heard: their columns of W2 are zero."""
    decoder = network.decoder.copy()
    decoder[neurons] = 0
    return replace(network, decoder=decoder)


def _choices(seed: int, table: NeuronTable, num_removed: int) -> list[NDArray[np.int64]]:
    """Random choices of so many monosemantic neurons, none where that cannot be.

    They are drawn from what the neurons do, so that the order of a network's neurons is all one.
    """
    monosemantic = table.of_kind("monosemantic")
    if not 0 < num_removed <= len(monosemantic):
        return []
    keys = (array[monosemantic] for array in (table.strength, table.bias, table.feature))
    ordered = monosemantic[np.lexsort(tuple(keys))]
    rng = generator(seed, Stream.REMOVAL)
    return [rng.choice(ordered, num_removed, replace=False) for _ in range(NUM_DRAWS)]


def _losses(networks: Sequence[Network], samples: Samples) -> list[float]:
    block_size = samples.inputs.shape[1]
    return [
        held_out_loss(
            passes_of(one.padded(), one.nonlinearity, block_size, is_trained=False), samples
        )
        for one in networks
    ]
