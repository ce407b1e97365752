"""MLflow as a projection of the ledger: what people look at, and can throw away."""

import os
from typing import TYPE_CHECKING

from service.late import importer

# Read by MLflow when it is imported: report its use to nobody, give up on a dead server quickly,
# and write nothing between the lines of our own: no bars, no address of every run.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

if TYPE_CHECKING:
    from service.tracking.backlog import Tracking
    from service.tracking.database import analyze_if_free
    from service.tracking.facts import Facts
    from service.tracking.inspection import Shown, entrances, look, put_runs_away
    from service.tracking.projection import Projection
    from service.tracking.removal import check_answers, remove
    from service.tracking.runs import doubled

__all__ = [
    "Facts",
    "Projection",
    "Shown",
    "Tracking",
    "analyze_if_free",
    "check_answers",
    "doubled",
    "entrances",
    "look",
    "put_runs_away",
    "remove",
]

# MLflow takes seconds to import, in which a sweep can begin to train.
__getattr__ = importer(
    __name__,
    {
        "Facts": "facts",
        "Projection": "projection",
        "Shown": "inspection",
        "Tracking": "backlog",
        "analyze_if_free": "database",
        "check_answers": "removal",
        "doubled": "runs",
        "entrances": "inspection",
        "look": "inspection",
        "put_runs_away": "inspection",
        "remove": "removal",
    },
)
