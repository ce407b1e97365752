"""The benchmark runs, at tiny sizes; nothing here depends on how fast."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import bench_nodes
from bench_nodes import COHORT, Sizes, Timed, measure, noop, show, sweep, workers
from noop_cohorts import Settings

from service.ledger import RECORDED, Ledger

TINY = Sizes(num_steps=64, num_cohorts=2, rounds=1, num_noops=8, workers=2, databases=("sqlite",))


@pytest.mark.occasional
@pytest.mark.timeout(900)
def test_a_sweep_is_timed_on_two_nodes(tmp_path: Path) -> None:
    began = time.time()
    found = sweep(TINY, 2, tmp_path)
    with closing(Ledger(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}", create=False)) as ledger:
        trials = [one for one in ledger.trials("nodes") if one.phase == "search"]
        search = [one for one in ledger.attempts("nodes") if "search" in one.cohort_id]
    assert Counter(one.cohort_id for one in trials) == {"search-0": COHORT, "search-1": COHORT}
    first, last = sorted(one.started_at for one in search)
    # The baseline comes before.
    assert 0.0 < found.start_up_s < first - began
    assert last - first < found.search_s < time.time() - first


@pytest.mark.occasional
@pytest.mark.timeout(900)
def test_what_cohorts_cost_the_driver_is_measured(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    found = noop(Settings(url, "tpe", 2, 2, num_cohorts=8, num_reports=2, profile=True))
    assert 0.0 < found["cohort_cpu_s"] <= found["cohort_s"]
    # The driver's own code is among what was profiled.
    assert any("cohort_queue.py" in one["function"] for one in found["hot"])
    with closing(Ledger(url, create=False)) as ledger:
        outcomes = [one.outcome for one in ledger.attempts("noop") if "search" in one.cohort_id]
    assert outcomes == [RECORDED] * 8


def test_the_driver_is_busy_when_its_workers_ask_for_all_of_its_time() -> None:
    # 50 workers: each second 25 cohorts of 20 ms, and 50 reports of 10 ms.
    assert workers(each_s=0.02, report_s=0.01, cohort_s=2.0) == pytest.approx(50.0)


def test_efficiency_is_of_medians_and_set_beside_the_machines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    times = iter([100.0, 60.0, 90.0, 50.0, 500.0, 40.0])

    def timed(sizes: Sizes, num_nodes: int, folder: Path) -> Timed:
        return Timed(num_workers=num_nodes, start_up_s=5.0, search_s=next(times))

    def bare(sizes: Sizes, cores: Sequence[int]) -> float:
        return 9.0 if len(cores) == 1 else 10.0

    def made_up(settings: Settings) -> dict[str, object]:
        # 50 ms a cohort without reports, of which each takes 5 ms.
        seconds = 0.05 + 0.005 * settings.num_reports
        return {"cohort_s": seconds, "cohort_cpu_s": 0.04, "hot": []}

    for name, function in (("sweep", timed), ("bare", bare), ("noop", made_up)):
        monkeypatch.setattr(bench_nodes, name, function)
    found = measure(replace(TINY, num_cohorts=100, rounds=3))
    # The medians of 100, 90, 500 and of 60, 50, 40.
    assert found["nodes"]["efficiency"] == pytest.approx(100.0 / (2 * 50.0))
    assert found["nodes"]["machine_efficiency"] == pytest.approx(0.9)
    (row,) = found["driver"]
    assert row["cohort_ms"] == pytest.approx(50.0)
    assert row["report_ms"] == pytest.approx(5.0)
    show(found)
    said = capsys.readouterr().out
    # A worker of the driver's seconds: 0.05 / 2 and 0.005; of 100 cohorts in 100 s 0.05 and 0.005.
    assert "the limit at 33 workers, with cohorts of 2 s" in said
    assert "the limit at 18 workers, with cohorts of 1.0 s, as here" in said
