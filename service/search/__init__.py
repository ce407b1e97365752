"""What is tried next: samplers over a mirror of the ledger, and what they are told."""

from service.search.distributions import distributions
from service.search.proposals import Proposal, Search
from service.search.samplers import resolve_sampler

__all__ = ["Proposal", "Search", "distributions", "resolve_sampler"]
