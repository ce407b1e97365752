"""Forward passes and closed-form gradients, by the way that is fastest for the networks."""

from trainers.passes.base import Passes
from trainers.passes.choice import passes_of

__all__ = ["Passes", "passes_of"]
