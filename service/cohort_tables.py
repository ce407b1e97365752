"""What a cohort leaves in the storage: curves and neurons of its networks, some of them whole."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from service.trials import Trial

if TYPE_CHECKING:
    from trainers import Curve, Outcome

Outcomes = Sequence[tuple[Trial, Sequence["Outcome"]]]


def curves_table(outcomes: Outcomes) -> pa.Table:
    """One row a step of each network's curve."""
    return _stacked(
        [
            _labelled(trial, replicate, _curve_columns(outcome.curve))
            for trial, replicates in outcomes
            for replicate, outcome in enumerate(replicates)
        ]
    )


def _curve_columns(curve: "Curve") -> dict[str, Any]:
    """One row a step, so the column is named for one."""
    columns = asdict(curve)
    return {"step": columns.pop("steps"), **columns}


def neurons_table(outcomes: Outcomes) -> pa.Table:
    """One row a neuron of each network that was trained to the end."""
    return _stacked(
        [
            _labelled(
                trial,
                replicate,
                {"neuron": np.arange(len(outcome.neurons.bias)), **asdict(outcome.neurons)},
            )
            for trial, replicates in outcomes
            for replicate, outcome in enumerate(replicates)
            if outcome.neurons is not None
        ]
    )


def _labelled(trial: Trial, replicate: int, columns: Mapping[str, Any]) -> pa.Table:
    """A table of one network's columns, each row saying which network it is of."""
    rows = len(next(iter(columns.values())))
    labels = {
        "trial_id": pa.array([trial.trial_id] * rows, pa.string()),
        "replicate": pa.array([replicate] * rows, pa.int32()),
        "seed": pa.array([trial.seeds[replicate]] * rows, pa.int64()),
    }
    return pa.table({**labels, **{name: pa.array(values) for name, values in columns.items()}})


def _stacked(tables: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables) if tables else pa.table({})


def named_files(trials: Iterable[Trial]) -> set[str]:
    """Paths of the files that the results of trials name: those that people can read."""
    results = [trial.result for trial in trials if trial.result is not None]
    return {
        path
        for result in results
        for path in (result.curves, result.neurons, result.weights)
        if path
    }
