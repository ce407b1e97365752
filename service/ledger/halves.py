"""A sweep's trials, put together from both halves of the ledger as they stood at one moment.

Optuna's half says what was asked, ours what came of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection

from service.ledger import checksums
from service.ledger.asked import Asked, asked
from service.ledger.outcomes import Outcomes, outcomes
from service.trials import PHASES, Phase, Result, State, Trial

_RESULT = tuple(field.name for field in fields(Result))


def trials_of(connection: Connection, sweep: str, phases: Sequence[Phase] = PHASES) -> list[Trial]:
    """The trials of a sweep, ordered by phase and number.

    Args:
        connection: Of a ``snapshot``: a driver, or a deletion, may be at work.
        sweep: The sweep's name.
        phases: Which of them.

    Raises:
        LedgerError: If a row is not as it was written, or one is lost that others tell of.
    """
    recorded = outcomes(connection, sweep)
    found = asked(connection, sweep, phases)
    # A deletion takes Optuna's half first.
    for trial_id in recorded.results if recorded.is_kept else ():
        if trial_id not in found and trial_id.partition("/")[0] in phases:
            raise checksums.changed(f"the trial {trial_id}")
    return [_trial(trial_id, one, recorded) for trial_id, one in found.items()]


def _trial(trial_id: str, found: Asked, recorded: Outcomes) -> Trial:
    attrs = found.attrs
    cohort_id = attrs["cohort_id"]
    row = recorded.results.get(trial_id)
    attempt = recorded.attempts.get(cohort_id)
    state: State = "waiting"
    if row is not None:
        state = row["state"]
        if attempt is None or attempt.attempts != row["attempt"]:
            raise checksums.changed(f"the attempts of {cohort_id}")
    elif found.is_told:
        raise checksums.changed(f"the result of {trial_id}")
    elif recorded.is_live and attempt is not None and attempt.open:
        state = "running"
    return Trial(
        phase=found.phase,
        number=found.number,
        settings=attrs["settings"],
        varied=tuple(found.params),
        seeds=tuple(attrs["seeds"]),
        cohort_id=cohort_id,
        role=attrs["role"],
        same_as=attrs.get("same_as"),
        memory=attrs.get("memory", {}),
        state=state,
        attempts=attempt.attempts if attempt is not None else 0,
        result=_result(row) if row is not None else None,
        mlflow_run_id=row["mlflow_run_id"] if row is not None else None,
    )


def _result(row: Mapping[str, Any]) -> Result:
    content = checksums.checked(row)
    return Result(
        **{name: content[name] for name in _RESULT} | {"replicates": tuple(content["replicates"])}
    )
