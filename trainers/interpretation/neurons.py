"""Each neuron of one network: what it answers to, how strongly, and how often."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from trainers.evaluation import neurons, responses
from trainers.networks import Network
from trainers.samples import Samples
from trainers.tasks import TASKS

# A polysemantic neuron is diffuse where no feature makes up half of its responses.
DIFFUSE_BELOW = 0.5


@dataclass(frozen=True, eq=False)
class NeuronTable:
    """The neurons of one network. Every array has shape ``[k]``.

    Attributes:
        kind: "monosemantic", "polysemantic" or "dead", by the responses to each feature alone.
        feature: The feature it answers to most, -1 for a dead neuron.
        concentration: Largest response / sum of responses; 1 is one feature only.
        strength: Its largest response to one feature alone.
        bias: b.
        encoder_norm: Euclidean norm of its row of W1.
        decoder_norm: Euclidean norm of its column of W2.
        mean_activity: Mean activation on held-out samples.
        active_share: Share of held-out samples on which it is above the threshold of the dead.
    """

    kind: NDArray[np.str_]
    feature: NDArray[np.int64]
    concentration: NDArray[np.float32]
    strength: NDArray[np.float32]
    bias: NDArray[np.float32]
    encoder_norm: NDArray[np.float32]
    decoder_norm: NDArray[np.float32]
    mean_activity: NDArray[np.float32]
    active_share: NDArray[np.float32]

    def of_kind(self, kind: str) -> NDArray[np.int64]:
        """Which neurons are monosemantic, polysemantic or dead, ascending."""
        return np.flatnonzero(self.kind == kind)

    @property
    def diffuse(self) -> NDArray[np.int64]:
        """Which polysemantic neurons answer to no feature before all others, ascending."""
        is_spread = self.concentration < DIFFUSE_BELOW
        return np.flatnonzero((self.kind == "polysemantic") & is_spread)

    @property
    def covered(self) -> NDArray[np.int64]:
        """The features that a monosemantic neuron answers to, ascending."""
        return np.unique(self.feature[self.kind == "monosemantic"])


@dataclass(frozen=True, eq=False)
class Responses:
    """Responses of every neuron to each feature alone.

    Attributes:
        signs: The values at which features were shown. Shape ``[S]``.
        values: ``A[s, j, i]``, of neuron j to feature i at ``signs[s]``, as the nonlinearity gives
            it (hidden activation). Shape ``[S, k, N]``.
    """

    signs: NDArray[np.int64]
    values: NDArray[np.float32]


def responses_of(network: Network) -> Responses:
    """Show a network each feature alone, at every sign that the task's features have."""
    signs = TASKS[network.task.kind].signs
    answers = responses(
        network.padded(),
        len(network.bias),
        network.projections.inputs,
        network.nonlinearity,
        signs,
    )
    return Responses(np.array(signs, dtype=np.int64), answers.numpy())


def neuron_table(network: Network, held_out: Samples) -> NeuronTable:
    """What each neuron does alone, and on held-out samples.

    Args:
        network: The network.
        held_out: The samples of its seed.
    """
    found = neurons(
        network.padded(),
        len(network.bias),
        network.projections.inputs,
        network.nonlinearity,
        TASKS[network.task.kind].signs,
    )
    mean_activity, active_share = _activity(network, held_out)
    return NeuronTable(
        kind=found.kind,
        feature=found.feature,
        concentration=found.concentration,
        strength=found.strength,
        bias=found.bias,
        encoder_norm=np.linalg.norm(network.encoder, axis=1),
        decoder_norm=np.linalg.norm(network.decoder, axis=1),
        mean_activity=mean_activity,
        active_share=active_share,
    )


def _activity(
    network: Network, samples: Samples
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean activation of each neuron, and the share of samples on which it is not silent."""
    encoder, bias = torch.from_numpy(network.encoder), torch.from_numpy(network.bias)
    total, active = torch.zeros(len(bias)), torch.zeros(len(bias))
    for inputs in samples.inputs:
        pre = torch.addmm(bias, inputs, encoder.T)
        hidden = network.nonlinearity.apply(pre, torch.empty_like(pre))
        total += hidden.sum(dim=0)
        active += (hidden > network.nonlinearity.dead_below).sum(dim=0)
    num_samples = samples.inputs.shape[0] * samples.inputs.shape[1]
    return (total / num_samples).numpy(), (active / num_samples).numpy()
