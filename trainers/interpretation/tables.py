"""An interpretation as tables: columns of equal length, with what each one says and its unit.

"Output" is the unit of what the network answers, "activation" that of a hidden neuron; a feature's
largest value is 1. Losses are squared errors summed over outputs, averaged over samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.interpretation.finding import is_correction
from trainers.interpretation.interpretation import Interpretation, Part
from trainers.interpretation.likeness import Likeness

Columns = dict[str, NDArray[Any]]

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "neurons": {
        "neuron": "number of the neuron, from 0",
        "kind": "monosemantic, polysemantic or dead, by its responses to each feature alone",
        "feature": "the feature it answers to most, from 0; -1 if it is dead",
        "concentration": "largest response / sum of responses; 1 is one feature only",
        "strength": "largest response to one feature alone at value 1 (activation)",
        "bias": "its bias (activation)",
        "encoder_norm": "Euclidean norm of its row of W1 (activation per input)",
        "decoder_norm": "Euclidean norm of its column of W2 (output per activation)",
        "mean_activity": "mean on held-out samples (activation)",
        "active_share": "share of held-out samples on which it is not silent",
    },
    "features": {
        "feature": "number of the feature, from 0",
        "num_monosemantic": "monosemantic neurons that answer to it",
        "polysemantic": "what the polysemantic neurons' map gives back of it (output per feature)",
        "diffuse": "what the diffuse neurons' map gives back of it (output per feature)",
    },
    "parts": {
        "part": "polysemantic: all such neurons; diffuse: those with a concentration below 0.5",
        "num_neurons": "how many neurons",
        "effective_rank": "participation ratio of the map's singular values",
        "largest_rank": "the least of the numbers of neurons, inputs and outputs",
        "likeness": "largest cosine between the map and an identity of its effective rank",
        "likeness_by_chance": "the same of random maps with these singular values, mean",
        "largest_by_chance": "the same, the largest of 32",
        "best_likeness": "the largest that these singular values allow",
        "spread": "of what is given back of the features: standard deviation / mean",
        "spread_of_identities": "the same of maps that favour no feature, mean of 32",
        "is_correction": "whether it looks like a correction that is the same for every feature",
    },
    "singular_values": {
        "part": "polysemantic or diffuse",
        "index": "from 0, the largest first",
        "singular_value": "of the part's map over features (output per feature)",
    },
    "removal": {
        "part": "the neurons that are taken out: polysemantic or diffuse",
        "num_active": "features that are not zero in each sample; -1: the task's held-out samples",
        "loss": "loss of the whole network",
        "loss_of_zero": "loss of answering zero",
        "without": "loss without the part",
        "without_monosemantic": "loss without as many monosemantic neurons, mean of 8 choices",
        "without_monosemantic_sd": "its standard deviation over the choices",
    },
}


def tables(found: Interpretation) -> dict[str, Columns]:
    """The tables of ``COLUMNS``, by name; NaN stands for what is not defined."""
    parts = {"polysemantic": found.polysemantic, "diffuse": found.diffuse}
    return {
        "neurons": {"neuron": np.arange(len(found.neurons.kind)), **_columns(found.neurons)},
        "features": _features(found),
        "parts": _stacked([_part(name, part) for name, part in parts.items()]),
        "singular_values": _stacked([_singular_values(name, part) for name, part in parts.items()]),
        "removal": _stacked([_removal(name, part) for name, part in parts.items()]),
    }


def _columns(table: Any) -> Columns:
    return {field.name: getattr(table, field.name) for field in fields(table)}


def _features(found: Interpretation) -> Columns:
    num_features = found.network.task.num_features
    answered = found.neurons.feature[found.neurons.of_kind("monosemantic")]
    return {
        "feature": np.arange(num_features),
        "num_monosemantic": np.bincount(answered, minlength=num_features),
        "polysemantic": _given_back(found.polysemantic, num_features),
        "diffuse": _given_back(found.diffuse, num_features),
    }


def _given_back(part: Part, num_features: int) -> NDArray[np.float64]:
    like = part.block.likeness
    return np.full(num_features, np.nan) if like is None else like.given_back


def _part(name: str, part: Part) -> Columns:
    block = part.block
    columns: dict[str, Any] = {
        "part": name,
        "num_neurons": len(block.neurons),
        "effective_rank": block.spectrum.effective_rank,
        "largest_rank": block.largest_rank,
        **_likeness(block.likeness),
        "is_correction": is_correction(part),
    }
    return {column: np.array([value]) for column, value in columns.items()}


def _likeness(like: Likeness | None) -> dict[str, float]:
    return {
        "likeness": np.nan if like is None else like.value,
        "likeness_by_chance": np.nan if like is None else float(like.by_chance.mean()),
        "largest_by_chance": np.nan if like is None else float(like.by_chance.max()),
        "best_likeness": np.nan if like is None else like.best,
        "spread": np.nan if like is None else like.spread,
        "spread_of_identities": np.nan if like is None else like.spread_of_identities,
    }


def _singular_values(name: str, part: Part) -> Columns:
    values = part.block.spectrum.singular_values
    return {
        "part": np.full(len(values), name),
        "index": np.arange(len(values)),
        "singular_value": values,
    }


def _removal(name: str, part: Part) -> Columns:
    removal = part.removal
    return {
        "part": np.full(len(removal.num_active), name),
        **{column: getattr(removal, column) for column in COLUMNS["removal"] if column != "part"},
    }


def _stacked(pieces: Sequence[Columns]) -> Columns:
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
