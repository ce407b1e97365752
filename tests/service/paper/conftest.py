"""Batches whose results are made by hand."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from search_spaces.paper import BATCHES
from service.columns import NEURONS_SCHEMA
from service.paper.result import BatchResult, PointResult
from service.paper.scaling import Scaling, scaled

# Networks by hand, shared by several tests.
sys.path.insert(0, str(Path(__file__).parent))

MakePoint = Callable[..., PointResult]
MakeResult = Callable[..., BatchResult]


@pytest.fixture(scope="session")
def make_point() -> MakePoint:
    """``make_point(0.6, 0.5, learning_rate=0.01)``: monosemantic per feature, loss, settings."""
    return _make_point


def _make_point(
    monosemantic: float | None,
    loss: float = 0.5,
    *,
    loss_ratio: float | None = 1.0,
    neurons: Mapping[str, list[list[float]]] | None = None,
    train_s: float = 1.0,
    **settings: float,
) -> PointResult:
    """A point that failed where ``monosemantic`` is None; ``neurons``: biases by kind and seed."""
    metrics = {
        "loss": loss,
        "monosemantic_per_feature": monosemantic,
        "feature_coverage": monosemantic,
        "num_dead": 0.0,
        "mean_bias": -0.1,
    }
    usual = {"learning_rate": 0.003, "initial_bias": 0.0, "feature_density": 1 / 64}
    return PointResult(
        sweep="paper-by-hand",
        trial_id="search/0",
        settings={**usual, **settings},
        metrics={} if monosemantic is None else metrics,  # type: ignore[arg-type]
        loss_ratio=None if monosemantic is None else loss_ratio,
        reason="diverged" if monosemantic is None else None,
        train_s=train_s,
        neurons=_neurons(neurons or {}),
    )


def _neurons(biases: Mapping[str, list[list[float]]]) -> pa.Table:
    rows: list[dict[str, Any]] = [
        {"replicate": replicate, "bias": bias, "kind": kind}
        for kind, networks in biases.items()
        for replicate, network in enumerate(networks)
        for bias in network
    ]
    return pa.Table.from_pylist(rows, NEURONS_SCHEMA)


@pytest.fixture(scope="session")
def make_result() -> MakeResult:
    """``make_result("LR1", [point, ...])``."""

    def make(name: str, points: list[PointResult], baseline_rate: float = 0.003) -> BatchResult:
        return BatchResult(
            scaled=scaled(BATCHES[name], Scaling(scale=2, num_steps=8192, batch_size=256)),
            sweeps=(f"paper-{name}",),
            points=tuple(points),
            baseline_rate=baseline_rate,
        )

    return make
