"""The short form of ``make soak``, and checks that it is able to find something."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from gauges import Growth, Reading, at_work, growths
from soak import Soaked, as_json, show, soaking


def readings(gauge: str, value: Callable[[int], float]) -> list[Reading]:
    """One a minute for 20 minutes."""
    return [Reading(60.0 * minute, minute, {gauge: value(minute)}) for minute in range(21)]


@pytest.mark.parametrize(
    ("gauge", "value", "is_within"),
    [
        # After the first quarter: 5 to 9 minutes beside 16 to 20.
        ("server memory", lambda minute: 400.0 + 1.0 * minute, False),
        ("server memory", lambda minute: 400.0 + 0.5 * minute, True),
        ("raylet memory", lambda minute: 40.0 + 0.5 * minute, True),
        ("raylet memory", lambda minute: 40.0 + 1.0 * minute, False),
        ("server memory", lambda minute: 100.0 if minute < 5 else 400.0, True),
        ("server threads", lambda minute: 6.0 + minute % 3, True),
        ("server threads", lambda minute: 6.0 + minute // 3, False),
        ("database connections", lambda minute: 3.0 + minute, False),
        ("cohorts left", lambda minute: float(minute > 15), False),
    ],
)
def test_what_grows_is_told_from_what_goes_up_and_down(
    gauge: str, value: Callable[[int], float], is_within: bool
) -> None:
    (found,) = growths(readings(gauge, value), warm_up_s=300.0)
    assert found.is_within == is_within


def test_growth_is_of_medians_and_too_few_readings_tell_of_none() -> None:
    found = growths(readings("raylet memory", float), warm_up_s=300.0)
    assert found == [Growth("raylet memory", before=7.0, after=18.0)]
    assert growths(readings("raylet memory", float)[:5], warm_up_s=0.0) == []


def test_what_is_at_work_is_told_from_what_stays() -> None:
    stays = ("ray::IDLE", "ray::DashboardAgent", "ray-dashboard-JobHead-0")
    works = ("ray::JobSupervisor", "ray::CohortTrainable.train", "python -P -m service resume x")
    started = [
        # What a process is called is the first word of its command line.
        subprocess.Popen([name, "60"], executable=shutil.which("sleep"))
        for name in (*stays, *works)
    ]
    try:
        found = at_work(psutil.Process(os.getpid()))
        assert [words.removesuffix(" 60") for words in found if words.endswith(" 60")] == [*works]
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.mark.occasional
@pytest.mark.timeout(900)
def test_nothing_is_left_of_a_sweep_on_a_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with soaking(tmp_path) as soak:
        soaked = soak.run(seconds=0.0)
    assert (soaked.num_sweeps, soaked.left) == (1, [])
    (reading,) = soaked.readings
    assert reading.gauges["server memory"] > 50.0
    assert {"raylet threads", "gcs files", "JobHead-0 connections"} <= reading.gauges.keys()
    assert reading.gauges["database connections"] >= 1.0
    assert reading.gauges["cohorts left"] == reading.gauges["Tune's folders left"] == 0.0
    assert as_json(Soaked(), [])["growths"] == []
    show(soaked, [Growth("raylet memory", 30.0, 60.0)])
    assert "grew" in capsys.readouterr().out
