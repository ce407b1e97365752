"""All that is known of what one network's neurons do."""

from dataclasses import dataclass

import torch

from trainers.interpretation.block import Block, block_of
from trainers.interpretation.neurons import (
    NeuronTable,
    Responses,
    neuron_table,
    responses_of,
)
from trainers.interpretation.removal import Removal, removal_of
from trainers.networks import Network
from trainers.replicates import begin_replicate


@dataclass(frozen=True, eq=False)
class Part:
    """Some neurons of a network together: what they compute, and what is lost without them."""

    block: Block
    removal: Removal


@dataclass(frozen=True, eq=False)
class Interpretation:
    """What the neurons of one network do.

    Attributes:
        network: The network.
        responses: Of every neuron to each feature alone.
        neurons: Every neuron, a row each.
        polysemantic: The polysemantic neurons together.
        diffuse: Those of them that answer to no feature before all others.
    """

    network: Network
    responses: Responses
    neurons: NeuronTable
    polysemantic: Part
    diffuse: Part


def interpret(network: Network) -> Interpretation:
    """Say what the neurons of a network do; the same network always gives the same numbers."""
    held_out = begin_replicate(network.task, network.member.seed, torch.device("cpu")).held_out
    table = neuron_table(network, held_out)
    polysemantic, diffuse = (
        Part(block_of(network, neurons), removal_of(network, table, neurons, held_out))
        for neurons in (table.of_kind("polysemantic"), table.diffuse)
    )
    return Interpretation(network, responses_of(network), table, polysemantic, diffuse)
