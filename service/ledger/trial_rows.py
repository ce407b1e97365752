"""Optuna's rows of a cohort's trials, written by a few plain statements in one transaction.

Optuna itself takes some 25 statements to create a trial and 37 to end one, each trial in several
transactions: of a sweep of short trials that was most of what its driver did. What it reads back of
these rows is what it reads of its own; the tests compare the two.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import Connection, delete, func, insert, select, update

from service.errors import LedgerError
from service.ledger.asked import CONSTRAINT, told
from service.ledger.checksums import COLUMN, changed, checksum
from service.ledger.studies import study_name
from service.trials import Phase, Point, Told

_trials = models.TrialModel.__table__
_params = models.TrialParamModel.__table__
_user_attrs = models.TrialUserAttributeModel.__table__
_system_attrs = models.TrialSystemAttributeModel.__table__
_values = models.TrialValueModel.__table__
_studies = models.StudyModel.__table__

Distributions = Mapping[str, BaseDistribution]


def create(
    connection: Connection,
    sweep: str,
    phase: Phase,
    *,
    first: int,
    points: Sequence[Point],
    cohort_id: str,
    distributions: Distributions,
) -> None:
    """Create running trials, numbered from ``first`` on. Replaying changes nothing.

    Args:
        connection: Of a transaction that writes, in which the lease was checked.
        sweep: The sweep's name.
        phase: Their study.
        first: Number of the first: that of the study's trials before it.
        points: What they train, and what of it was proposed.
        cohort_id: With whom.
        distributions: Of all that is proposed, from where.

    Raises:
        LedgerError: If the study has other trials by now.
    """
    study_id = connection.scalar(
        select(_studies.c.study_id).where(_studies.c.study_name == study_name(sweep, phase))
    )
    num_there = connection.scalar(
        select(func.count()).select_from(_trials).where(_trials.c.study_id == study_id)
    )
    if num_there == first + len(points):
        return
    if study_id is None or num_there != first:
        raise changed(f"the numbers of {phase}'s trials")
    row = {"study_id": study_id, "state": TrialState.RUNNING, "datetime_start": _now()}
    numbers = range(first, first + len(points))
    trial_ids = connection.scalars(
        insert(_trials).returning(_trials.c.trial_id, sort_by_parameter_order=True),
        [{**row, "number": number} for number in numbers],
    ).all()
    created = list(zip(trial_ids, numbers, points, strict=True))
    _insert(connection, _params, _param_rows(created, distributions))
    _insert(connection, _user_attrs, _attr_rows(created, phase, cohort_id))


def end(connection: Connection, sweep: str, wanted: Mapping[str, Told]) -> None:
    """End trials with what they are told. Replaying changes nothing.

    Args:
        connection: Of a transaction that writes, in which the lease was checked.
        sweep: The sweep's name.
        wanted: Values and constraints by trial id, such as ``search/3``.

    Raises:
        LedgerError: If one is ended already, and was told something else.
    """
    found = list(_found(connection, sweep, wanted))
    if any(state.is_finished() for _, _, state in found):
        _check_told(told(connection, sweep), wanted)
    ended = [(key, wanted[trial_id]) for key, trial_id, state in found if not state.is_finished()]
    constraints = [
        {"trial_id": key, "key": f"{CONSTRAINT}{name}", "value_json": json.dumps(float(value))}
        for key, one in ended
        for name, value in one.constraints.items()
    ]
    # An earlier version wrote them before the end: a driver that died in between left them.
    keys = [key for key, _ in ended]
    connection.execute(
        delete(_system_attrs).where(
            _system_attrs.c.trial_id.in_(keys), _system_attrs.c.key.startswith(CONSTRAINT)
        )
    )
    _insert(connection, _system_attrs, constraints)
    _insert(connection, _values, _value_rows(ended))
    for state in (TrialState.COMPLETE, TrialState.PRUNED):
        keys = [key for key, one in ended if (one.values is None) is (state is TrialState.PRUNED)]
        if keys:
            connection.execute(
                update(_trials)
                .where(_trials.c.trial_id.in_(keys))
                .values(state=state, datetime_complete=_now())
            )


def _found(
    connection: Connection, sweep: str, trial_ids: Iterable[str]
) -> Iterator[tuple[int, str, TrialState]]:
    """Optuna's key, our id and the state of each trial."""
    by_phase: dict[str, list[int]] = {}
    for trial_id in trial_ids:
        phase, number = trial_id.split("/")
        by_phase.setdefault(phase, []).append(int(number))
    for phase, numbers in by_phase.items():
        rows = connection.execute(
            select(_trials.c.trial_id, _trials.c.number, _trials.c.state)
            .join(_studies, _studies.c.study_id == _trials.c.study_id)
            .where(
                _studies.c.study_name == study_name(sweep, phase),  # type: ignore[arg-type]
                _trials.c.number.in_(numbers),
            )
            .with_for_update(of=_trials)
        ).all()
        if len(rows) != len(numbers):
            raise changed(f"the numbers of {phase}'s trials")
        for key, number, state in rows:
            yield key, f"{phase}/{number}", state


def _check_told(found: Mapping[str, Told], wanted: Mapping[str, Told]) -> None:
    for trial_id, one in wanted.items():
        if trial_id in found and found[trial_id] != one:
            raise told_otherwise(trial_id)


def told_otherwise(trial_id: str) -> LedgerError:
    """The error for a trial that Optuna was told something else of than its result says."""
    return changed(f"what Optuna was told of {trial_id}")


def _param_rows(
    created: Iterable[tuple[int, int, Point]], distributions: Distributions
) -> Iterator[dict[str, Any]]:
    written = {name: distribution_to_json(one) for name, one in distributions.items()}
    for key, _, point in created:
        for name in point.varied:
            value = distributions[name].to_internal_repr(point.settings[name])
            yield {
                "trial_id": key,
                "param_name": name,
                "param_value": value,
                "distribution_json": written[name],
            }


def _attr_rows(
    created: Iterable[tuple[int, int, Point]], phase: Phase, cohort_id: str
) -> Iterator[dict[str, Any]]:
    for key, number, point in created:
        params = {name: point.settings[name] for name in point.varied}
        attrs = {
            "settings": dict(point.settings),
            "seeds": list(point.seeds),
            "role": point.role,
            # Left out where there is none, as it was before there was any.
            **({"same_as": point.same_as} if point.same_as is not None else {}),
            **({"memory": dict(point.memory)} if point.memory else {}),
        }
        content = {"phase": phase, "number": number, "params": params, **attrs}
        for name, value in {
            "cohort_id": cohort_id,
            **attrs,
            COLUMN: checksum(content),
        }.items():
            yield {"trial_id": key, "key": name, "value_json": json.dumps(value)}


def _value_rows(ended: Iterable[tuple[int, Told]]) -> Iterator[dict[str, Any]]:
    for key, one in ended:
        for place, value in enumerate(one.values or ()):
            stored, kind = models.TrialValueModel.value_to_stored_repr(float(value))
            yield {"trial_id": key, "objective": place, "value": stored, "value_type": kind}


def _insert(connection: Connection, table: Any, rows: Iterable[dict[str, Any]]) -> None:
    listed = list(rows)
    if listed:
        connection.execute(insert(table), listed)


def _now() -> datetime:
    """As Optuna keeps it: of UTC, without saying so."""
    return datetime.now(UTC).replace(tzinfo=None)
