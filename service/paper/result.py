"""What came of a batch, as one plain value that tables, figures and judgements are made from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import pyarrow as pa

from service.columns import CURVES_SCHEMA, NEURONS_SCHEMA
from service.home import Home
from service.opened import OpenSweep, open_sweep
from service.paper.notes import notes
from service.paper.scaling import ScaledBatch
from service.paper.sweep_files import BatchSweep
from service.trials import Trial
from service.verdict import Json


@dataclass(frozen=True, kw_only=True)
class PointResult:
    """One point of a batch: its settings, and what training brought.

    Attributes:
        sweep: The sweep that trained it.
        trial_id: Its trial there.
        settings: Every setting of its networks, and ``feature_density``.
        metrics: Mean of each reported number over its seeds; empty unless trained to the end.
        loss_ratio: Loss over the baseline's on the same seeds; None unless trained to the end.
        reason: Why it failed, or None.
        num_steps: Training steps done.
        train_s: Seconds of training, summed over its networks.
        curves: A row for each step of each network's curve, as in ``curves.parquet``.
        neurons: A row for each neuron of each network, as in ``neurons.parquet``.
    """

    sweep: str
    trial_id: str
    settings: Mapping[str, float | int | str]
    metrics: Mapping[str, float]
    loss_ratio: float | None = None
    reason: str | None = None
    num_steps: int = 0
    train_s: float = 0.0
    curves: pa.Table = field(default_factory=CURVES_SCHEMA.empty_table, repr=False)
    neurons: pa.Table = field(default_factory=NEURONS_SCHEMA.empty_table, repr=False)

    @property
    def is_complete(self) -> bool:
        """Whether it was trained to the end."""
        return bool(self.metrics)

    @property
    def loss(self) -> float:
        """Squared error summed over outputs, on held-out samples; of complete points."""
        return self.metrics["loss"]

    @property
    def monosemantic(self) -> float:
        """Monosemantic neurons over features; of complete points."""
        return self.metrics["monosemantic_per_feature"]

    def number(self, name: str) -> float:
        """A setting that is a number."""
        return float(self.settings[name])

    def as_json(self) -> Json:
        """All but the tables, for programs."""
        return {
            "sweep": self.sweep,
            "trial_id": self.trial_id,
            "settings": dict(self.settings),
            "metrics": dict(self.metrics),
            "loss_ratio": self.loss_ratio,
            "reason": self.reason,
            "num_steps": self.num_steps,
            "train_s": self.train_s,
        }


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """What came of a batch.

    Attributes:
        scaled: The batch as it was trained.
        sweeps: Its sweeps, in the order of the densities.
        points: Every point of its grid, in the grid's order, each setting ascending.
        baseline_rate: The learning rate of the networks that ``loss_ratio`` compares with; their
            biases start around zero and do not decay.
    """

    scaled: ScaledBatch
    sweeps: tuple[str, ...]
    points: tuple[PointResult, ...]
    baseline_rate: float

    @property
    def name(self) -> str:
        """The batch's name."""
        return self.scaled.batch.name

    @property
    def complete(self) -> list[PointResult]:
        """The points that were trained to the end."""
        return [point for point in self.points if point.is_complete]

    def as_json(self) -> Json:
        """All but curves and neurons, for programs."""
        batch, scaling = self.scaled.batch, self.scaled.scaling
        return {
            "batch": self.name,
            "scale": scaling.scale,
            "num_steps": scaling.num_steps,
            "batch_size": scaling.batch_size,
            "num_seeds": scaling.num_seeds,
            "notes": list(notes(self.scaled)),
            "grids": {name: list(grid) for name, grid in batch.grids.items()},
            "sweeps": list(self.sweeps),
            "baseline_rate": self.baseline_rate,
            "points": [point.as_json() for point in self.points],
        }


def gathered(scaled: ScaledBatch, sweeps: Sequence[BatchSweep], home: Home) -> BatchResult:
    """What came of a batch whose sweeps have ended.

    Raises:
        UserError: If one of them is not there.
        StorageError: If curves or neurons that the ledger names are gone or damaged.
        StorageAwayError: If the storage does not answer.
    """
    points = [
        _point(trial, opened, sweep.feature_density)
        for sweep in sweeps
        for opened in (open_sweep(sweep.spec.name, home),)
        for trial in opened.known_trials
        if trial.phase == "search"
    ]
    return BatchResult(
        scaled=scaled,
        sweeps=tuple(sweep.spec.name for sweep in sweeps),
        points=tuple(_in_order(scaled.batch.grids, points)),
        baseline_rate=sweeps[0].spec.training.learning_rate,
    )


def _point(trial: Trial, opened: OpenSweep, density: float) -> PointResult:
    result = trial.result
    assert result is not None  # its sweep has ended
    return PointResult(
        sweep=opened.name,
        trial_id=trial.trial_id,
        settings={**trial.settings, "feature_density": density},
        metrics=result.metrics,
        loss_ratio=result.loss_ratio,
        reason=None if result.state == "complete" else result.reason,
        num_steps=result.num_steps,
        train_s=result.train_s,
        curves=opened.curves_of(trial.trial_id),
        neurons=opened.neurons_of(trial.trial_id),
    )


def _in_order(
    grids: Mapping[str, Sequence[float]], points: Iterable[PointResult]
) -> list[PointResult]:
    """A sweep's trials are spread over the grid; people read it from end to end."""
    by_place = {tuple(point.number(name) for name in grids): point for point in points}
    return [by_place[place] for place in product(*grids.values())]
