"""A finished sweep of any number of trials, written straight into a ledger in seconds.

Its numbers are drawn, not trained: monosemanticity rises as the bias falls, wide networks do better
a little, and too low a bias costs loss. What reads a sweep is timed on it.
"""

import json
import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from service.columns import CURVES_SCHEMA, NEURONS_SCHEMA
from service.confirmation import candidates
from service.findings import findings
from service.front import finalists
from service.home import Home
from service.ledger import Ledger, checksums, tables
from service.ledger.attempts import _result_row
from service.ledger.studies import study_name
from service.objective import objective_of
from service.search import distributions
from service.spec import Spec, parse_spec
from service.storage import Storage
from service.telling import told
from service.trials import PHASES, Result, Trial
from service.verdict import verdict, with_end
from trainers.names import METRICS

SPEC = """\
name: {name} # <b>drawn</b>, not trained
task: {{kind: feature_decoder, num_features: 256, num_inputs: 32, feature_density: 0.015625}}
model: {{num_neurons: 512}}
training: {{num_steps: 8192, batch_size: 256, learning_rate: 0.01, precision: float32}}
search_space:
  initial_bias: {{float: [-1.0, 0.0]}}
  bias_decay: {{float: [0.0, 3.0]}}
  num_neurons: {{int: [256, 1024], step: 64}}
  learning_rate: {{float: [0.001, 0.05], log: true}}
  nonlinearity: {{choice: [relu, gelu]}}
baseline: {{num_seeds: 4}}
objective: {{maximize: monosemantic_per_feature, loss_margin: 0.02}}
search: {{num_trials: {num_trials}}}
confirmation: {{finalists: 3, num_seeds: 4}}
"""
COHORT_SIZE = 16
COHORT_S = 60.0
NUM_WORKERS = 4
BEGAN_AT = 1.7e9


def large_sweep(home: Home, num_trials: int, name: str = "large") -> Spec:
    """Write a finished sweep into the home's ledger and its tables into the storage.

    One in eight trials is stopped early, one in fifty diverged, and some cohorts died once.

    Args:
        home: Where to; its ledger is made if need be.
        num_trials: Trials of its search.
        name: Its name.
    """
    spec = parse_spec(SPEC.format(name=name, num_trials=num_trials), origin="drawn")
    trials = _trials(spec, num_trials)
    storage = Storage(home.storage)
    trials = _with_tables(spec, storage, trials)
    with closing(Ledger(home.ledger_url)) as ledger:
        ledger.create_sweep(
            name,
            spec_text=spec.text,
            settings=spec.settings(),
            versions={"monosweep": "0", "torch": "2", "numpy": "2", "processor": "drawn"},
            num_trials=num_trials,
        )
        _write(ledger, spec, trials)
    return spec


def _trials(spec: Spec, num_trials: int) -> list[Trial]:
    generator = np.random.default_rng(num_trials)
    fixed = {"nonlinearity": "relu", "l1": 0.0, "num_neurons": 512, "learning_rate": 0.01}
    zero = {**fixed, "initial_bias": 0.0, "bias_decay": 0.0}
    baseline = [
        _trial(
            generator,
            "baseline",
            number,
            settings=zero,
            seeds=(number,),
            cohort_id=f"baseline-{number}",
        )
        for number in range(4)
    ]
    search = []
    for number in range(num_trials):
        settings = {
            "l1": 0.0,
            "initial_bias": -float(generator.random()),
            "bias_decay": 3.0 * float(generator.random()),
            "num_neurons": 256 + 64 * int(generator.integers(13)),
            "learning_rate": math.exp(generator.uniform(math.log(0.001), math.log(0.05))),
            "nonlinearity": ("relu", "gelu")[int(generator.integers(2))],
        }
        cohort = f"search-{number // COHORT_SIZE}"
        state = "pruned" if number % 8 == 3 else "failed" if number % 50 == 7 else "complete"
        one = _trial(
            generator,
            "search",
            number,
            settings=settings,
            seeds=(0,),
            cohort_id=cohort,
            state=state,
        )
        assert one.result is not None
        if state == "complete":
            ratio = one.result.metrics["loss"] / 0.63
            one = replace(one, result=replace(one.result, loss_ratio=ratio))
        search.append(one)
    confirmed = []
    roles = [("baseline", zero)]
    roles += [
        (trial.trial_id, dict(trial.settings))
        for trial in finalists(search, objective_of(spec), spec.confirmation.finalists)
    ]
    for role, settings in roles:
        for seed in range(4):
            number = len(confirmed)
            cohort = f"confirmation-{number // 4}"
            one = _trial(
                generator,
                "confirmation",
                number,
                settings=settings,
                seeds=(500_000 + seed,),
                cohort_id=cohort,
                role=role,
            )
            confirmed.append(one)
    return [*baseline, *search, *confirmed]


def _trial(
    generator: np.random.Generator,
    phase: Any,
    number: int,
    *,
    settings: dict[str, Any],
    seeds: tuple[int, ...],
    cohort_id: str,
    role: str | None = None,
    state: Any = "complete",
) -> Trial:
    bias, width = settings["initial_bias"], settings["num_neurons"]
    good = min(1.0, -1.6 * bias) * (0.7 + 0.3 * width / 1024) + 0.04 * generator.standard_normal()
    loss = 0.63 - 0.15 * good + 0.3 * max(0.0, -bias - 0.6) + 0.01 * generator.standard_normal()
    numbers = {
        **dict.fromkeys(METRICS, 0.1),
        "loss": float(loss),
        "monosemantic_per_feature": float(max(good, 0.0)),
        "feature_coverage": float(min(max(0.9 * good, 0.0), 1.0)),
        "mean_bias": float(bias / 2),
    }
    reasons = {
        "pruned": f"stopped at step 2048: rank {3 + number % 2} of 4 (loss ratio 1.2)",
        "failed": f"the loss was not finite at step {1 + number % 7}",
    }
    result = Result(
        trial_id=f"{phase}/{number}",
        attempt=1,
        state=state,
        reason=reasons.get(state),
        metrics=numbers if state == "complete" else {},
        replicates=(numbers,) if state == "complete" else (),
        num_steps=8192 if state == "complete" else 2048,
        train_s=10.0,
    )
    varied = ("initial_bias", "bias_decay", "num_neurons", "learning_rate", "nonlinearity")
    return Trial(
        phase=phase,
        number=number,
        settings=settings,
        varied=varied if phase == "search" else (),
        seeds=seeds,
        cohort_id=cohort_id,
        role=role,
        state=state,
        attempts=1,
        result=result,
    )


def _with_tables(spec: Spec, storage: Storage, trials: Sequence[Trial]) -> list[Trial]:
    """The trials with the paths of their curves and neurons, which are written cohort by cohort."""
    cohorts: dict[str, list[Trial]] = {}
    for trial in trials:
        cohorts.setdefault(trial.cohort_id, []).append(trial)
    done = []
    for cohort_id, members in cohorts.items():
        folder = f"results/{spec.name}/{cohort_id}"
        curves = storage.add_table(f"{folder}/curves-1", _curves(members))
        neurons = storage.add_table(f"{folder}/neurons-1", _neurons(members))
        for trial in members:
            assert trial.result is not None
            result = replace(trial.result, curves=curves, neurons=neurons)
            done.append(replace(trial, result=result))
    return done


def _curves(members: Sequence[Trial]) -> pa.Table:
    steps = [2**power for power in range(14)]
    rows = []
    for trial in members:
        assert trial.result is not None
        end = trial.result.metrics or dict.fromkeys(METRICS, 0.2)
        for step in steps:
            if step <= trial.result.num_steps:
                share = math.log2(step) / 13
                numbers = {name: value * share for name, value in end.items()}
                numbers["loss"] = 1.33 + (end["loss"] - 1.33) * share
                rows.append(
                    {
                        "trial_id": trial.trial_id,
                        "replicate": 0,
                        "seed": trial.seeds[0],
                        "step": step,
                        **numbers,
                    }
                )
    return pa.Table.from_pylist(rows, CURVES_SCHEMA)


def _neurons(members: Sequence[Trial]) -> pa.Table:
    parts = [NEURONS_SCHEMA.empty_table()]
    for trial in members:
        assert trial.result is not None
        if trial.state != "complete":
            continue
        num = int(trial.settings["num_neurons"])
        count = min(int(256 * trial.result.metrics["monosemantic_per_feature"]), num)
        ranks = np.arange(num)
        kinds = np.where(ranks < count, "monosemantic", "polysemantic")
        concentration = np.where(ranks < count, 1.0, 0.9 * (num - ranks) / num)
        parts.append(
            pa.table(
                {
                    "trial_id": pa.array([trial.trial_id] * num),
                    "replicate": pa.array(np.zeros(num, np.int32)),
                    "seed": pa.array(np.full(num, trial.seeds[0])),
                    "neuron": pa.array(ranks),
                    "bias": pa.array(np.where(ranks < count, -0.4, 0.1) + 0.05 * np.cos(ranks)),
                    "concentration": pa.array(concentration),
                    "feature": pa.array(ranks % 256),
                    "strength": pa.array(np.ones(num)),
                    "kind": pa.array(kinds.tolist()),
                },
                schema=NEURONS_SCHEMA,
            )
        )
    return pa.concat_tables(parts)


def _write(ledger: Ledger, spec: Spec, trials: Sequence[Trial]) -> None:
    studies = ledger.storage
    ids = {}
    for phase in PHASES:
        direction = models.StudyDirection.MINIMIZE if phase == "baseline" else None
        ids[phase] = studies.create_new_study(
            [direction or models.StudyDirection.MAXIMIZE], study_name(spec.name, phase)
        )
    with Session(studies.engine) as session:
        for phase in PHASES:
            _write_optunas(session, spec, ids[phase], [t for t in trials if t.phase == phase])
        session.commit()
    with tables.writing(ledger.engine) as connection:
        rows = []
        for trial in trials:
            assert trial.result is not None
            rows.append(_result_row(spec.name, trial.result, BEGAN_AT))
        connection.execute(insert(tables.results), rows)
        connection.execute(insert(tables.attempts), _attempts(spec, trials))
        row = connection.execute(
            select(tables.sweeps).where(tables.sweeps.c.name == spec.name)
        ).one()
        content = {
            **row._asdict(),
            "phase": "report",
            "finished_at": BEGAN_AT + 3600.0,
            "verdict": _verdict(spec, trials),
        }
        del content["checksum"]
        content["checksum"] = checksums.checksum(content)
        connection.execute(
            tables.sweeps.update().where(tables.sweeps.c.name == spec.name).values(**content)
        )


def _write_optunas(session: Session, spec: Spec, study_id: int, trials: Sequence[Trial]) -> None:
    varied = distributions(spec.space)
    ended = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "PRUNED"}
    now = datetime.fromtimestamp(BEGAN_AT, UTC)
    first = (session.scalar(select(models.func.max(models.TrialModel.trial_id))) or 0) + 1
    numbered = list(enumerate(trials, first))
    session.execute(
        insert(models.TrialModel),
        [
            {
                "trial_id": trial_id,
                "number": trial.number,
                "study_id": study_id,
                "state": models.TrialState[ended[trial.state]],
                "datetime_start": now,
                "datetime_complete": now,
            }
            for trial_id, trial in numbered
        ],
    )
    if session.get_bind().dialect.name == "postgresql":
        # Its own count of the ids goes on after ours.
        count = "SELECT setval(pg_get_serial_sequence('trials', 'trial_id'), max(trial_id)) "
        session.execute(text(f"{count} FROM trials"))
    params, attrs, constraints, values = [], [], [], []
    objective = objective_of(spec)
    for trial_id, trial in numbered:
        for name in trial.varied:
            params.append(
                {
                    "trial_id": trial_id,
                    "param_name": name,
                    "param_value": varied[name].to_internal_repr(trial.settings[name]),
                    "distribution_json": distribution_to_json(varied[name]),
                }
            )
        written = {
            "settings": dict(trial.settings),
            "seeds": list(trial.seeds),
            "role": trial.role,
        }
        content = {
            "phase": trial.phase,
            "number": trial.number,
            "params": trial.params,
            **written,
        }
        known = {
            "cohort_id": trial.cohort_id,
            **written,
            checksums.COLUMN: checksums.checksum(content),
        }
        attrs += [
            {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
            for key, value in known.items()
        ]
        assert trial.result is not None
        known_to_optuna = told(objective, trial, trial.result)
        constraints += [
            {"trial_id": trial_id, "key": f"constraints:{name}", "value_json": json.dumps(value)}
            for name, value in known_to_optuna.constraints.items()
        ]
        values += [
            {
                "trial_id": trial_id,
                "objective": place,
                "value": value,
                "value_type": models.TrialValueModel.TrialValueType.FINITE,
            }
            for place, value in enumerate(known_to_optuna.values or ())
        ]
    for model, rows in (
        (models.TrialParamModel, params),
        (models.TrialUserAttributeModel, attrs),
        (models.TrialSystemAttributeModel, constraints),
        (models.TrialValueModel, values),
    ):
        if rows:
            session.execute(insert(model), rows)


def _attempts(spec: Spec, trials: Sequence[Trial]) -> list[dict[str, Any]]:
    cohorts = dict.fromkeys(trial.cohort_id for trial in trials)
    return [
        {
            "sweep": spec.name,
            "cohort_id": cohort_id,
            "attempt": 1,
            "started_at": BEGAN_AT + COHORT_S * (number // NUM_WORKERS),
            "ended_at": BEGAN_AT + COHORT_S * (number // NUM_WORKERS + 1) - 5.0,
            "outcome": tables.RECORDED,
            "first_step": 0,
            "worker": f"host-{number % NUM_WORKERS} {4000 + number % NUM_WORKERS}",
        }
        for number, cohort_id in enumerate(cohorts)
    ]


def _verdict(spec: Spec, trials: Sequence[Trial]) -> dict[str, Any]:
    by_phase = {phase: [trial for trial in trials if trial.phase == phase] for phase in PHASES}
    objective = objective_of(spec)
    chosen = candidates(
        by_phase["baseline"][0].settings,
        by_phase["search"],
        objective,
        spec.confirmation.finalists,
    )
    confirmed = {trial.role for trial in by_phase["confirmation"]}
    found = findings(
        [one for one in chosen if one.role in confirmed], by_phase["confirmation"], objective
    )
    return with_end(verdict(spec, found, by_phase["search"]), None)
