"""What is tried next: samplers over a mirror of the ledger, and what they are told."""

from typing import TYPE_CHECKING

from service.late import importer
from service.search.choice import resolve_sampler

if TYPE_CHECKING:
    from service.search.proposals import Proposal, Search
    from service.search.ranges import distributions

__all__ = ["Proposal", "Search", "distributions", "resolve_sampler"]

__getattr__ = importer(
    __name__, {"Proposal": "proposals", "Search": "proposals", "distributions": "ranges"}
)
