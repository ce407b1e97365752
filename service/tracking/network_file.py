"""A trained network as a file that every reader of safetensors opens, without monosweep."""

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save

if TYPE_CHECKING:
    from trainers.networks import Network

NAME = "network.safetensors"


def as_bytes(network: "Network") -> bytes:
    """The file's content.

    Arrays in float32: ``encoder`` (W1, ``[k, m]``), ``bias`` (b, ``[k]``), ``decoder`` (W2
    transposed, ``[k, N]``; ``[k, m]`` of the re-projector) and ``projection`` (P, ``[m, N]``).
    Its metadata are ``nonlinearity``, and ``member`` and ``task`` as JSON.
    """
    arrays = {
        name: np.ascontiguousarray(getattr(network, name))
        for name in ("encoder", "bias", "decoder", "projection")
    }
    metadata = {
        "nonlinearity": network.member.nonlinearity,
        "member": json.dumps(asdict(network.member)),
        "task": json.dumps(asdict(network.task)),
    }
    return save(arrays, metadata=metadata)


def digest(network: "Network") -> str:
    """Names a network by what it is.

    Not a hash of the file: safetensors writes its metadata in any order.
    """
    found = hashlib.sha256(json.dumps([asdict(network.member), asdict(network.task)]).encode())
    for array in (network.encoder, network.bias, network.decoder):
        found.update(array.tobytes())
    return found.hexdigest()
