"""The service: the life of a sweep, from the sweep file to a verdict.

From a notebook or a script: ``load_spec`` reads a sweep file, ``run`` runs it, ``open_sweep`` opens
what is there. Nothing is imported until it is asked for, so that the command answers quickly.
"""

from typing import TYPE_CHECKING

from service.late import importer

if TYPE_CHECKING:
    from service.opened import OpenSweep, open_sweep
    from service.running import run
    from service.spec import Spec, load_spec

__all__ = ["OpenSweep", "Spec", "load_spec", "open_sweep", "run"]

__getattr__ = importer(
    __name__,
    {
        "OpenSweep": "opened",
        "Spec": "spec",
        "load_spec": "spec",
        "open_sweep": "opened",
        "run": "running",
    },
)
