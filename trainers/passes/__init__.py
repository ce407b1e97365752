"""Forward passes and closed-form gradients, by the way that is fastest for the networks."""

from trainers.passes.choice import passes_of
from trainers.passes.passes import Passes

__all__ = ["Passes", "passes_of"]
