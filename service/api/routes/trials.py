"""The route that lists a sweep's trials."""

import math
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Query

from service.api.access import ViewerRoute
from service.api.backing import BackingParameter
from service.api.models import MAX_PAGE, TrialAnswer, TrialList
from service.api.problems import answers
from service.api.routes.sweeps import AfterParameter, NameParameter
from service.errors import UserError
from service.objective import Objective, objective_of
from service.recorded import spec_of
from service.trials import PHASES, Phase, State, Trial

router = APIRouter(
    prefix="/v1/sweeps", route_class=ViewerRoute, tags=["sweeps"], responses=answers(404, 409)
)

_MAX_TRIALS = 5 * MAX_PAGE


@router.get("/{name}/trials")
def list_trials(
    *,
    name: NameParameter,
    backing: BackingParameter,
    phase: Annotated[Phase | None, Query(description="Only those of this phase.")] = None,
    state: Annotated[State | None, Query(description="Only those in this state.")] = None,
    limit: Annotated[int, Query(ge=1, le=_MAX_TRIALS, description="How many at most.")] = 100,
    after: AfterParameter = None,
) -> TrialList:
    """A sweep's trials, by phase and number."""
    record = backing.ledger.sweep(name)
    record.check_is_kept()
    trials = backing.ledger.trials(name, *([phase] if phase else []))
    asked = [trial for trial in trials if state is None or trial.state == state]
    if after is not None:
        place = _place(after)
        asked = [trial for trial in asked if _place(trial.trial_id) > place]
    objective = objective_of(spec_of(record))
    page = [_answer(trial, objective) for trial in asked[:limit]]
    return TrialList(trials=page, next=page[-1].trial_id if len(asked) > limit else None)


def _place(trial_id: str) -> tuple[int, int]:
    """Where a trial stands in the list.

    Raises:
        UserError: If it is none.
    """
    phase, _, number = trial_id.partition("/")
    if phase not in PHASES or not (number.isascii() and number.isdecimal()):
        raise UserError(
            f"after must be a trial such as search/12, found {trial_id!r}. Take what next was on "
            "the page before, or leave it out to begin."
        )
    return PHASES.index(phase), int(number)


def _answer(trial: Trial, objective: Objective) -> TrialAnswer:
    result = trial.result
    is_judged = result is not None and trial.phase == "search"
    return TrialAnswer(
        trial_id=trial.trial_id,
        phase=trial.phase,
        number=trial.number,
        role=trial.role,
        same_as=trial.same_as,
        state=trial.state,
        cohort_id=trial.cohort_id,
        attempts=trial.attempts,
        seeds=list(trial.seeds),
        settings=_finite(trial.settings.items()),
        params=_finite(trial.params.items()),
        reason=result.reason if result else None,
        metrics=_finite(result.metrics.items()) if result else {},
        loss_ratio=_known(result.loss_ratio) if result else None,
        num_steps=result.num_steps if result else None,
        train_s=result.train_s if result else None,
        feasible=objective.is_feasible(result, trial.settings) if is_judged and result else None,
        mlflow_run_id=trial.mlflow_run_id,
    )


def _finite(numbers: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {name: _known(value) for name, value in numbers}


def _known(value: Any) -> Any:
    """The value; None for what JSON has no word for."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
