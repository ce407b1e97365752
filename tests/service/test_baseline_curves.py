"""The losses that trials are stopped by, from curves written by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from service.baseline_curves import early_stopping
from service.errors import StorageError
from service.spec import Spec
from service.storage import Storage, as_parquet
from service.trials import Trial

MakeSpec = Callable[..., Spec]
MakeTrial = Callable[..., Trial]
Rows = list[tuple[str, int, int, float]]

COMPUTE = "compute: {cohort_size: 2, max_concurrent: 1}"
PATHS = ("results/tiny/baseline-0/curves-1.parquet", "results/tiny/baseline-1/curves-2.parquet")


@pytest.fixture
def spec(make_spec: MakeSpec) -> Spec:
    """Rungs 64 and 128, and two seeds for every trial: 0 and 1."""
    return make_spec(
        (COMPUTE, f"early_stopping: {{first_step: 64, reduction: 2}}\n{COMPUTE}"),
        ("num_trials: 4", "num_trials: 4, replicates: 2"),
        ("baseline: {num_seeds: 2}", "baseline: {num_seeds: 3}"),
    )


@pytest.fixture
def baseline(make_trial: MakeTrial) -> list[Trial]:
    """Three seeds at 0.02, the better rate, and one at 0.01, in two files."""
    seeds = [(0, 0.02, 0.9), (1, 0.02, 0.9), (2, 0.02, 0.9), (0, 0.01, 1.5)]
    trials = [
        make_trial("baseline", n, seeds=(seed,), settings={"learning_rate": rate}, loss=loss)
        for n, (seed, rate, loss) in enumerate(seeds)
    ]
    for n, trial in enumerate(trials):
        assert trial.result is not None
        trials[n] = replace(trial, result=replace(trial.result, curves=PATHS[n // 2]))
    return trials


def written(folder: Path, rows: Rows) -> Storage:
    storage = Storage(str(folder))
    for n, path in enumerate(PATHS):
        mine = [
            {"trial_id": trial_id, "seed": seed, "step": step, "loss": loss}
            for trial_id, seed, step, loss in rows
            if int(trial_id.removeprefix("baseline/")) // 2 == n
        ]
        storage.write_bytes(path, as_parquet(pa.Table.from_pylist(mine)))
    return storage


ROWS: Rows = [
    *(("baseline/0", 0, step, loss) for step, loss in [(32, 9.0), (64, 2.0), (128, 1.5)]),
    *(("baseline/1", 1, step, loss) for step, loss in [(64, 2.5), (128, 1.25), (256, 0.9)]),
    *(("baseline/2", 2, step, loss) for step, loss in [(64, 7.0), (128, 7.0), (256, 0.9)]),
    *(("baseline/3", 0, step, loss) for step, loss in [(64, 8.0), (128, 8.0), (256, 1.5)]),
]


def test_the_baseline_at_its_rate_on_the_seeds_of_the_search(
    tmp_path: Path, spec: Spec, baseline: list[Trial]
) -> None:
    found = early_stopping(spec, baseline, written(tmp_path, ROWS))
    assert found is not None
    assert found.baseline == {64: {0: 2.0, 1: 2.5}, 128: {0: 1.5, 1: 1.25}}
    assert found.rungs == (64, 128)
    assert found.reduction == 2
    assert found.objective.directions == ("maximize",)
    assert (found.objective.names, found.objective.max_loss_ratio) == (
        ("monosemantic_per_feature", "loss_ratio"),
        1.5,
    )


def test_nobody_is_stopped_where_the_baseline_has_no_loss_on_a_seed(
    tmp_path: Path, spec: Spec, baseline: list[Trial]
) -> None:
    rows = [row for row in ROWS if row[:3] != ("baseline/1", 1, 64)]
    found = early_stopping(spec, baseline, written(tmp_path, rows))
    assert found is not None
    assert found.baseline == {128: {0: 1.5, 1: 1.25}}


def test_nothing_is_read_where_it_is_off(
    tmp_path: Path, make_spec: MakeSpec, baseline: list[Trial]
) -> None:
    assert early_stopping(make_spec(), baseline, Storage(str(tmp_path))) is None


@pytest.mark.parametrize("content", [None, b"PAR1"])
def test_curves_that_cannot_be_read_are_named(
    tmp_path: Path, spec: Spec, baseline: list[Trial], content: bytes | None
) -> None:
    storage = written(tmp_path, ROWS)
    if content is None:
        (tmp_path / PATHS[1]).unlink()
    else:
        (tmp_path / PATHS[1]).write_bytes(content)
    with pytest.raises(StorageError, match="the storage must hold the baseline's curves") as caught:
        early_stopping(spec, baseline, storage)
    assert "curves-2.parquet" in str(caught.value)
