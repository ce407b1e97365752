"""Optuna's half of a sweep's trials, read by a few plain selects.

Optuna's own way to read a study makes an object of every row: of 10,000 trials that takes most of
the seconds that somebody waits for ``status``. These read the same in a fraction of them; the tests
compare the two.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from math import inf
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import TrialState
from sqlalchemy import Connection, Select, column, select, table

from service.ledger.checksums import COLUMN, changed, checksum
from service.ledger.studies import study_name
from service.trials import PHASES, Phase, Told

# What reading raises where text that Optuna wrote was changed in place: no JSON, no state, no
# parameter.
_GARBLED = (ValueError, LookupError, TypeError, AttributeError)
# What Optuna writes before the name of a constraint.
CONSTRAINT = "constraints:"
# What it writes where a number is none that every database can hold.
_INFINITE = {"INF_POS": inf, "INF_NEG": -inf}

# Optuna's tables, as far as they are read here.
_studies = table("studies", column("study_id"), column("study_name"))
_trials = table("trials", column("trial_id"), column("study_id"), column("number"), column("state"))
_params = table(
    "trial_params",
    *map(column, ("param_id", "trial_id", "param_name", "param_value", "distribution_json")),
)
_user_attrs = table("trial_user_attributes", *map(column, ("trial_id", "key", "value_json")))
_system_attrs = table("trial_system_attributes", *map(column, ("trial_id", "key", "value_json")))
_values = table("trial_values", *map(column, ("trial_id", "objective", "value", "value_type")))


@dataclass(frozen=True, slots=True)
class Asked:
    """What Optuna's half holds of one trial.

    Attributes:
        phase: Its study.
        number: Its number in it.
        params: What was proposed, in the order in which it was.
        attrs: What was written with it, without the checksum: ``cohort_id``, ``settings``,
            ``seeds``, ``role``, and ``same_as`` and ``memory`` where there are such.
        is_told: Whether it is ended in Optuna's eyes.
    """

    phase: Phase
    number: int
    params: Mapping[str, float | int | str]
    attrs: Mapping[str, Any]
    is_told: bool


def asked(connection: Connection, sweep: str, phases: Sequence[Phase] = PHASES) -> dict[str, Asked]:
    """The trials of a sweep by id, ordered by phase and number; none of a study not made yet.

    Args:
        connection: Of a ``snapshot``: the selects must see the same.
        sweep: The sweep's name.
        phases: Which of them.

    Raises:
        LedgerError: If they are not as they were written.
    """
    found: dict[str, Asked] = {}
    for phase in phases:
        with _naming(sweep, phase):
            rows = sorted(_of_study(connection, sweep, phase), key=lambda row: row[0].number)
        if [trial.number for trial, _ in rows] != list(range(len(rows))):
            raise changed(f"the numbers of {phase}'s trials")
        for trial, expected in rows:
            _check(trial, expected)
            found[f"{phase}/{trial.number}"] = trial
    return found


def told(connection: Connection, sweep: str) -> dict[str, Told]:
    """What Optuna was told of the trials that are ended in its eyes, by id.

    Args:
        connection: Of a ``snapshot``.
        sweep: The sweep's name.

    Raises:
        LedgerError: If it is not as it was written.
    """
    found: dict[str, Told] = {}
    for phase in PHASES:
        with _naming(sweep, phase):
            found |= dict(_told_of_study(connection, sweep, phase))
    return found


def _of_study(
    connection: Connection, sweep: str, phase: Phase
) -> Iterator[tuple[Asked, str | None]]:
    """Each trial, and the checksum that it was written with."""
    params: dict[int, dict[str, float | int | str]] = defaultdict(dict)
    columns = (_params.c.param_name, _params.c.param_value, _params.c.distribution_json)
    rows = connection.execute(_rows_of(_params, sweep, phase, *columns).order_by("param_id"))
    for trial_id, name, value, distribution in rows:
        params[trial_id][name] = _distribution(distribution).to_external_repr(value)
    attrs = _attrs(connection, _user_attrs, sweep, phase)
    for trial_id, number, state in connection.execute(_trials_of(sweep, phase)):
        written = attrs[trial_id]
        expected = written.pop(COLUMN, None)
        is_told = TrialState[state].is_finished()
        yield Asked(phase, number, params[trial_id], written, is_told), expected


def _told_of_study(connection: Connection, sweep: str, phase: Phase) -> Iterator[tuple[str, Told]]:
    values: dict[int, dict[int, float]] = defaultdict(dict)
    columns = (_values.c.objective, _values.c.value, _values.c.value_type)
    for trial_id, objective, value, kind in connection.execute(
        _rows_of(_values, sweep, phase, *columns)
    ):
        values[trial_id][objective] = value if kind == "FINITE" else _INFINITE[kind]
    attrs = _attrs(connection, _system_attrs, sweep, phase)
    for trial_id, number, state in connection.execute(_trials_of(sweep, phase)):
        if TrialState[state].is_finished():
            mine = values[trial_id]
            yield (
                f"{phase}/{number}",
                Told(
                    tuple(mine[place] for place in sorted(mine)) if state == "COMPLETE" else None,
                    {
                        key.removeprefix(CONSTRAINT): value
                        for key, value in attrs[trial_id].items()
                        if key.startswith(CONSTRAINT)
                    },
                ),
            )


def _attrs(
    connection: Connection, attributes: Any, sweep: str, phase: Phase
) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    columns = (attributes.c.key, attributes.c.value_json)
    rows = connection.execute(_rows_of(attributes, sweep, phase, *columns)).all()
    values = _decoded([text for _, _, text in rows])
    for (trial_id, key, _), value in zip(rows, values, strict=True):
        found[trial_id][key] = value
    return found


def _decoded(texts: Sequence[str]) -> list[Any]:
    """The values of many small JSON texts, as one: each by itself takes four times as long.

    Raises:
        ValueError: If one of them is no JSON, as it is raised for that one alone. Several that
            would only be JSON together are left to whoever compares what they say.
    """
    try:
        values: list[Any] = json.loads(f"[{','.join(texts)}]")
    except ValueError:
        values = []
    return values if len(values) == len(texts) else [json.loads(text) for text in texts]


def _trials_of(sweep: str, phase: Phase) -> Select[Any]:
    return (
        select(_trials.c.trial_id, _trials.c.number, _trials.c.state)
        .join(_studies, _studies.c.study_id == _trials.c.study_id)
        .where(_studies.c.study_name == study_name(sweep, phase))
    )


def _rows_of(rows: Any, sweep: str, phase: Phase, *columns: Any) -> Select[Any]:
    """The rows of another table that belong to a study's trials, each after its trial's id."""
    return (
        select(rows.c.trial_id, *columns)
        .join(_trials, _trials.c.trial_id == rows.c.trial_id)
        .join(_studies, _studies.c.study_id == _trials.c.study_id)
        .where(_studies.c.study_name == study_name(sweep, phase))
    )


@cache
def _distribution(text: str) -> BaseDistribution:
    """Every trial of a search has the same few, written out again and again."""
    return json_to_distribution(text)


@contextmanager
def _naming(sweep: str, phase: Phase) -> Iterator[None]:
    """Let what cannot be read be an error of the ledger's."""
    try:
        yield
    except _GARBLED as error:
        name = study_name(sweep, phase)
        raise changed(f"trials of the study {name} ({error!r})") from error


def _check(trial: Asked, expected: str | None) -> None:
    """Make sure that a trial is what was created.

    Its cohort is left out, which a split changes. Trials of the first versions have no checksum.

    Raises:
        LedgerError: If it is not.
    """
    phase, number, attrs = trial.phase, trial.number, trial.attrs
    kept = {name: value for name, value in attrs.items() if name != "cohort_id"}
    content = {"phase": phase, "number": number, "params": trial.params, **kept}
    if (
        not str(attrs.get("cohort_id")).startswith(f"{phase}-")
        or not {"settings", "seeds", "role"} <= attrs.keys()
        or expected not in (None, checksum(content))
    ):
        raise changed(f"the trial {phase}/{number}")
