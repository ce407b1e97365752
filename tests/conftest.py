"""What the tests share: a small sweep file, and trials made by hand."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from service.home import Home
from service.trials import Phase, Result, Trial

# 64 features in 16 inputs: the effect hardly shows, but every part of a sweep is at work.
TINY = """\
name: tiny
task: {kind: feature_decoder, num_features: 64, num_inputs: 16, feature_density: 0.03125}
model: {num_neurons: 64}
training: {num_steps: 256, batch_size: 32, learning_rate: 0.02, precision: float32}
search_space: bias_and_width
baseline: {num_seeds: 2}
objective: {maximize: monosemantic_per_feature, loss_margin: 0.5}
search: {num_trials: 4}
confirmation: {finalists: 1, num_seeds: 2}
compute: {cohort_size: 2, max_concurrent: 1}
"""

SETTINGS: dict[str, float | int | str] = {
    "num_neurons": 64,
    "nonlinearity": "relu",
    "learning_rate": 0.02,
    "initial_bias": 0.0,
    "bias_decay": 0.0,
    "l1": 0.0,
}


@pytest.fixture
def tiny_text() -> str:
    """A sweep file that trains in seconds."""
    return TINY


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home of its own, on SQLite."""
    path = tmp_path / "home"
    return Home(
        path=path,
        ledger_url=f"sqlite:///{path / 'ledger.db'}",
        tracking_uri=f"sqlite:///{path / 'mlflow.db'}",
        storage=str(path),
    )


MakeTrial = Callable[..., Trial]


@pytest.fixture
def make_trial() -> MakeTrial:
    """Trials by hand: ``make_trial("search", 3, loss=0.9, monosemantic_per_feature=0.4)``."""
    return _make_trial


def _make_trial(
    phase: Phase,
    number: int,
    *,
    state: Any = "complete",
    settings: Mapping[str, float | int | str] | None = None,
    seeds: tuple[int, ...] = (0,),
    role: str | None = None,
    loss_ratio: float | None = None,
    reason: str | None = None,
    cohort_id: str = "search-0",
    **metrics: float,
) -> Trial:
    result = Result(
        trial_id=f"{phase}/{number}",
        attempt=1,
        state=state,
        reason=reason,
        metrics=metrics if state == "complete" else {},
        replicates=tuple(metrics for _ in seeds) if state == "complete" else (),
        loss_ratio=loss_ratio,
        num_steps=256,
        train_s=1.0,
    )
    return Trial(
        phase=phase,
        number=number,
        settings={**SETTINGS, **(settings or {})},
        varied=("initial_bias", "bias_decay", "num_neurons"),
        seeds=seeds,
        cohort_id=cohort_id,
        role=role,
        state=state,
        attempts=1,
        result=result if state not in ("running", "waiting") else None,
    )
