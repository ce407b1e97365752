"""Toy models of monosemanticity, trained side by side with the trial axis first.

``begin`` makes a cohort, ``advance`` trains it, ``drop`` takes members out, ``outcomes`` says what
came of each, ``trained_networks`` which weights it ended with; ``to_bytes`` and ``from_bytes``
carry a cohort over an interruption. ``obtain_machine_code_by`` saves a process from compiling what
another one compiled.
Nothing here imports torch until it is asked for, so that ``trainers.names`` stays cheap.

Source: A. S. Jermyn, N. Schiefer, E. Hubinger, *Engineering Monosemanticity in Toy Models*,
arXiv:2211.09169 (2022).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trainers.names import METRICS

if TYPE_CHECKING:
    from trainers.checkpoint import from_bytes, to_bytes
    from trainers.envelope import EnvelopeError, NewerError
    from trainers.evaluation import Curve, Evaluation, Neurons
    from trainers.footprint import arrays_bytes, checkpoint_bytes, peak_bytes
    from trainers.machine_code import obtain_machine_code_by
    from trainers.networks import (
        Network,
        networks_from_bytes,
        networks_to_bytes,
        trained_networks,
    )
    from trainers.outcome import Outcome, Record
    from trainers.precision import bfloat16_is_native
    from trainers.settings import Member, Task, TrainingSettings
    from trainers.training import CohortState, advance, begin, drop, outcomes

_HOMES = {
    "arrays_bytes": "trainers.footprint",
    "CohortState": "trainers.training",
    "Curve": "trainers.evaluation",
    "EnvelopeError": "trainers.envelope",
    "Evaluation": "trainers.evaluation",
    "Member": "trainers.settings",
    "Neurons": "trainers.evaluation",
    "Network": "trainers.networks",
    "NewerError": "trainers.envelope",
    "Outcome": "trainers.outcome",
    "Record": "trainers.outcome",
    "Task": "trainers.settings",
    "TrainingSettings": "trainers.settings",
    "advance": "trainers.training",
    "begin": "trainers.training",
    "checkpoint_bytes": "trainers.footprint",
    "drop": "trainers.training",
    "from_bytes": "trainers.checkpoint",
    "bfloat16_is_native": "trainers.precision",
    "networks_from_bytes": "trainers.networks",
    "networks_to_bytes": "trainers.networks",
    "obtain_machine_code_by": "trainers.machine_code",
    "outcomes": "trainers.training",
    "peak_bytes": "trainers.footprint",
    "to_bytes": "trainers.checkpoint",
    "trained_networks": "trainers.networks",
}

__all__ = [
    "METRICS",
    "CohortState",
    "Curve",
    "EnvelopeError",
    "Evaluation",
    "Member",
    "Network",
    "Neurons",
    "NewerError",
    "Outcome",
    "Record",
    "Task",
    "TrainingSettings",
    "advance",
    "arrays_bytes",
    "begin",
    "bfloat16_is_native",
    "checkpoint_bytes",
    "drop",
    "from_bytes",
    "networks_from_bytes",
    "networks_to_bytes",
    "obtain_machine_code_by",
    "outcomes",
    "peak_bytes",
    "to_bytes",
    "trained_networks",
]


def __getattr__(name: str) -> Any:
    """Import a public name's module when the name is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'trainers' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
