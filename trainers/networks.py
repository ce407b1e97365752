"""Trained networks as values, and as bytes that outlive their cohort."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.envelope import Envelope, group
from trainers.model import NONLINEARITIES, Nonlinearity, Weights, split
from trainers.settings import Member, Task
from trainers.sizes import num_weights, padded_width
from trainers.tasks import Projections, projections
from trainers.training import CohortState, check_finished

NETWORKS = Envelope(
    entry="monosweep networks",
    format_version=1,
    noun="A file of networks",
    found_in="trained networks",
    if_truncated="Train them again.",
    if_foreign="Give the file that their cohort ended with.",
    if_older="Read it with the monosweep that wrote it, or train them again.",
)


@dataclass(frozen=True, eq=False)
class Network:
    """One trained network: float32, on the processor, without padding.

    Attributes:
        member: Its settings.
        task: What it was trained to do.
        encoder: W1. Shape ``[k, m]``.
        bias: b. Shape ``[k]``.
        decoder: W2, transposed. Shape ``[k, N]``; ``[k, m]`` for the re-projector.
    """

    member: Member
    task: Task
    encoder: NDArray[np.float32]
    bias: NDArray[np.float32]
    decoder: NDArray[np.float32]

    @cached_property
    def projections(self) -> Projections:
        """The fixed matrices of its seed, drawn again."""
        return projections(self.task, self.member.seed)

    @property
    def projection(self) -> NDArray[np.float32]:
        """P, through which it sees the features, drawn again from its seed. Shape ``[m, N]``."""
        seen: NDArray[np.float32] = self.projections.inputs.numpy()
        return seen

    @property
    def nonlinearity(self) -> Nonlinearity:
        """Its activation function."""
        return NONLINEARITIES[self.member.nonlinearity]

    def padded(self) -> Weights:
        """A copy of its weights as they were trained: T = 1, of padded width."""
        num_neurons, num_inputs = self.encoder.shape
        width = padded_width(num_neurons)
        flat = torch.zeros(1, num_weights(width, num_inputs, self.decoder.shape[1]))
        weights = split(flat, width, num_inputs)
        arrays = (self.encoder, self.bias, self.decoder)
        for padded, array in zip(weights.tensors, arrays, strict=True):
            padded[0, :num_neurons] = torch.from_numpy(array)
        return weights


def trained_networks(state: CohortState) -> tuple[Network | None, ...]:
    """The members of a finished cohort, in their order; None where one diverged or was dropped.

    Raises:
        ValueError: If the cohort is not finished.
    """
    check_finished(state)
    found: list[Network | None] = [None] * len(state.members)
    for tile in state.tiles:
        for row, slot in enumerate(tile.slots):
            member = state.members[slot]
            arrays = (
                tensor[row, : member.num_neurons].cpu().numpy().copy()
                for tensor in tile.weights.tensors
            )
            found[slot] = Network(member, state.task, *arrays)
    return tuple(found)


def networks_to_bytes(networks: Sequence[Network]) -> bytes:
    """Networks, in their order, as bytes."""
    arrays: dict[str, Tensor] = {}
    for index, network in enumerate(networks):
        for name in ("encoder", "bias", "decoder"):
            array = np.ascontiguousarray(getattr(network, name))
            arrays[f"{index}.{name}"] = torch.from_numpy(array)
    content = [
        {"member": asdict(network.member), "task": asdict(network.task)} for network in networks
    ]
    return NETWORKS.seal(content, arrays)


def networks_from_bytes(data: bytes) -> tuple[Network, ...]:
    """The networks that were written, in their order.

    Raises:
        EnvelopeError: As ``Envelope.open``.
    """
    opened = NETWORKS.open(data)
    return tuple(
        Network(
            member=Member(**one["member"]),
            task=Task(**one["task"]),
            **{name: array.numpy() for name, array in group(opened.arrays, f"{index}.").items()},
        )
        for index, one in enumerate(opened.content)
    )
