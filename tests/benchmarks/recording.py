"""Real trainings that searches are replayed on: settings, and the whole curve of each seed.

One Parquet file, a row for each step of each network's curve. Which settings, how they were trained
and on which seeds is said by the sweep file beside it; ``record.py`` trains what is missing.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from search_spaces import Value
from service.early_stopping import EarlyStopping, rungs
from service.objective import objective_of
from service.phases import base_settings
from service.search.spread import spread_values
from service.spec import Spec, load_spec
from service.trials import Settings, replicate_seeds
from trainers import Curve, Evaluation

DATA = Path(__file__).with_name("data")
SPEC, FILE = DATA / "recording.yaml", DATA / "recording.parquet"
# Stands for the number of the baseline.
BASELINE = -1
METRICS = {field.name: field.type for field in fields(Evaluation)}

# Metrics at each step of a network's curve.
Points = tuple[tuple[int, Evaluation], ...]


def settings_of(spec: Spec, number: int) -> Settings:
    """Every setting of a recorded number: a point of the sequence that fills the space evenly."""
    if number == BASELINE:
        return {**base_settings(spec), "initial_bias": 0.0, "bias_decay": 0.0}
    values = spread_values(spec.space, spec.search.seed, number, 0)
    return {**base_settings(spec), **spec.space.settings(values)}


def seeds_of(spec: Spec, number: int) -> tuple[int, ...]:
    """The seeds that a recorded number is trained on."""
    num = spec.baseline.num_seeds if number == BASELINE else spec.search.replicates
    return replicate_seeds(spec.search.seed, num, fresh=False)


def table_of(number: int, curves: Mapping[int, Curve]) -> pa.Table:
    """The rows of one number, from the curve of each of its seeds."""
    return pa.concat_tables(
        pa.table(
            {
                "number": pa.array([number] * len(curve.steps), pa.int16()),
                "seed": pa.array([seed] * len(curve.steps), pa.int32()),
                "step": pa.array(curve.steps, pa.int32()),
                **{
                    name: pa.array(values, pa.int16() if name == "num_dead" else pa.float32())
                    for name, values in asdict(curve).items()
                    if name in METRICS
                },
            }
        )
        for seed, curve in curves.items()
    )


def read(path: Path = FILE) -> pa.Table:
    """What is recorded so far; no rows where nothing is."""
    return pq.read_table(path) if path.exists() else table_of(BASELINE, {0: _EMPTY}).slice(0, 0)


_EMPTY = Curve(**{field.name: np.empty(0) for field in fields(Curve)})


@dataclass(frozen=True, eq=False)
class Recording:
    """Trainings to replay searches on.

    Attributes:
        spec: The sweep that they are of.
        curves: Of each number and seed.
    """

    spec: Spec
    curves: Mapping[tuple[int, int], Points]

    @cached_property
    def numbers(self) -> list[int]:
        """The recorded settings, the baseline left out."""
        return sorted({number for number, _ in self.curves} - {BASELINE})

    @cached_property
    def settings(self) -> dict[int, Settings]:
        """Every setting, by number."""
        return {number: settings_of(self.spec, number) for number in self.numbers}

    @cached_property
    def places(self) -> np.ndarray:
        """Where the numbers lie, each axis a share of its range. Shape ``[numbers, axes]``."""
        return np.array([self.place(self.settings[number]) for number in self.numbers])

    def place(self, settings: Mapping[str, Value]) -> list[float]:
        """Where settings lie."""
        found = []
        for name, parameter in self.spec.space.varied.items():
            low, high, value = parameter.low, parameter.high, float(settings[name])
            if parameter.log:
                low, high, value = np.log([low, high, value])
            found.append(float((value - low) / (high - low)))
        return found

    def end(self, number: int, seed: int) -> Evaluation:
        """What a network was at its last step."""
        return self.curves[number, seed][-1][1]

    def loss_ratio(self, number: int, seed: int) -> float:
        """Loss over the baseline's on the same seed, at the last step."""
        return self.end(number, seed).loss / self.end(BASELINE, seed).loss

    def worth_on(self, number: int, seeds: Sequence[int]) -> float:
        """The objective of a setting, some seeds averaged; infinitely little if infeasible."""
        most = objective_of(self.spec).max_loss_ratio
        (goal,) = self.spec.objective.maximize
        if most is not None and fmean(self.loss_ratio(number, seed) for seed in seeds) > most:
            return -math.inf
        return fmean(getattr(self.end(number, seed), goal) for seed in seeds)

    @cached_property
    def worth(self) -> dict[int, float]:
        """The objective of each feasible setting, all its seeds averaged."""
        worths = {number: self.worth_on(number, seeds_of(self.spec, 0)) for number in self.numbers}
        return {number: one for number, one in worths.items() if one > -math.inf}

    def early_stopping(self) -> EarlyStopping:
        """What the sweep file's cohorts are stopped by."""
        stopping = self.spec.stopping
        assert stopping is not None
        seeds = seeds_of(self.spec, 0)
        return EarlyStopping(
            reduction=stopping.reduction,
            objective=objective_of(self.spec),
            baseline={
                step: {seed: dict(self.curves[BASELINE, seed])[step].loss for seed in seeds}
                for step in rungs(self.spec)
            },
        )


def recording(path: Path = FILE, spec: Spec | None = None) -> Recording:
    """What is recorded, to be replayed."""
    rows: Iterable[dict[str, Any]] = read(path).to_pylist()
    curves: dict[tuple[int, int], list[tuple[int, Evaluation]]] = {}
    for row in rows:
        evaluation = Evaluation(**{name: row[name] for name in METRICS})
        curves.setdefault((row["number"], row["seed"]), []).append((row["step"], evaluation))
    return Recording(
        spec or load_spec(SPEC), {key: tuple(sorted(points)) for key, points in curves.items()}
    )
