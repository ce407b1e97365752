"""The benchmark of MLflow's projection, on few trials; how fast it is is not asserted."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bench_tracking


def test_mlflow_has_every_trial_once_in_the_end(tmp_path: Path) -> None:
    home = bench_tracking.drawn(tmp_path, 6)
    happened = []
    caught = bench_tracking.catch_up(home, lambda: happened.append(None))
    # 4 of the baseline, 6 searched, and at most 3 finalists and the baseline on 4 seeds each.
    assert 10 < caught.num_trials <= 26
    assert (caught.num_runs, caught.num_doubled) == (caught.num_trials, 0)
    assert happened == [None]
    assert 0 < caught.slowest_s <= caught.driver_s < caught.total_s
    (row,) = bench_tracking.rows({"a file at home": caught})
    assert row["case"] == f"{caught.num_trials} trials: a file at home"
