"""What Optuna is told of the trials that have ended."""

from collections.abc import Iterable

from service.ledger import Writer
from service.objective import Objective
from service.trials import Result, Told, Trial


def tell(writer: Writer, objective: Objective, ended: Iterable[tuple[Trial, Result]]) -> None:
    """Tell Optuna what came of trials, all at once; replaying changes nothing.

    Args:
        writer: The pen.
        objective: What the search is after.
        ended: Each trial, as it was before it ended or since, and what came of it.
    """
    writer.tell({trial.trial_id: told(objective, trial, result) for trial, result in ended})


def tell_recorded(writer: Writer, objective: Objective, trials: Iterable[Trial]) -> None:
    """Tell Optuna the results that a driver recorded and may not have told.

    Args:
        writer: The pen.
        objective: What the search is after.
        trials: Of any phase; those without a result are passed over.

    Raises:
        LedgerError: If it was told something else of one.
    """
    writer.tell_missing(
        {
            trial.trial_id: told(objective, trial, trial.result)
            for trial in trials
            if trial.result is not None
        }
    )


def told(objective: Objective, trial: Trial, result: Result) -> Told:
    """What Optuna is to be told of a trial; see ``tell``."""
    match trial.phase:
        case "baseline":
            loss = result.metrics.get("loss")
            return Told(None if loss is None else (loss,))
        case "search":
            return objective.told(result, trial.settings)
        case _:
            return objective.told_alone(result, trial.settings)
