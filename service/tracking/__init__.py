"""MLflow as a projection of the ledger: what people look at, and can throw away."""

from service.tracking.backlog import Tracking
from service.tracking.inspection import Shown, look, put_runs_away
from service.tracking.projection import Projection, doubled
from service.tracking.removal import check_answers, remove

__all__ = [
    "Projection",
    "Shown",
    "Tracking",
    "check_answers",
    "doubled",
    "look",
    "put_runs_away",
    "remove",
]
