"""The sweep file: read safely, checked strictly, every mistake with its line and what to do."""

from service.spec.automatic import MIN_STOPPED_COHORT
from service.spec.spec import (
    Spec,
    differences,
    json_schema,
    load_spec,
    packaged_sweeps,
    parse_spec,
)

__all__ = [
    "MIN_STOPPED_COHORT",
    "Spec",
    "differences",
    "json_schema",
    "load_spec",
    "packaged_sweeps",
    "parse_spec",
]
