"""What Optuna is told of the trials that have ended."""

from collections.abc import Iterable

from service.ledger import Writer
from service.objective import Objective
from service.trials import Result, Told, Trial


def tell(writer: Writer, objective: Objective, trial: Trial, result: Result) -> None:
    """Tell Optuna what came of a trial; replaying changes nothing.

    Args:
        writer: The pen.
        objective: What the search is after.
        trial: The trial, as it was before it ended or since.
        result: What came of it.
    """
    match trial.phase:
        case "baseline":
            loss = result.metrics.get("loss")
            told = Told(None if loss is None else (loss,))
        case "search":
            told = objective.told(result, trial.settings)
        case _:
            told = objective.told_alone(result, trial.settings)
    writer.tell(trial.phase, trial.number, told)


def tell_recorded(writer: Writer, objective: Objective, trials: Iterable[Trial]) -> None:
    """Tell Optuna the results that a driver recorded and may not have told.

    Args:
        writer: The pen.
        objective: What the search is after.
        trials: Of any phase; those without a result are passed over.
    """
    for trial in trials:
        if trial.result is not None:
            tell(writer, objective, trial, trial.result)
