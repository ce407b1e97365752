"""The service: the life of a sweep, from the sweep file to a verdict.

From a notebook or a script: ``load_spec`` reads a sweep file, ``run`` runs it, ``open_sweep`` opens
what is there. Nothing is imported until it is asked for, so that the command answers quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from service.opened import OpenSweep, open_sweep
    from service.running import run
    from service.spec import Spec, load_spec

_HOMES = {
    "OpenSweep": "service.opened",
    "Spec": "service.spec",
    "load_spec": "service.spec",
    "open_sweep": "service.opened",
    "run": "service.running",
}

__all__ = ["OpenSweep", "Spec", "load_spec", "open_sweep", "run"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
