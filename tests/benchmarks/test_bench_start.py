"""The benchmark runs; nothing here depends on how fast. What is imported where does not change."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bench_start import LIMITS, measure, show, show_short
from family import cost_of

HEAVY = {"torch", "ray", "optuna", "mlflow", "sqlalchemy", "pandas", "pyarrow", "scipy", "numpy"}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return measure(1, 1, {"num_steps: 512": "num_steps: 64"})


def case(found: dict[str, Any], command: str) -> dict[str, Any]:
    (one,) = (one for one in found["breakdown"] if one["command"] == command)
    return one


@pytest.mark.occasional
def test_a_sweep_is_followed_from_its_command_to_its_end(
    found: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run = case(found, "run")
    order = [run["milestones_s"][name] for name in ("ledger", "handed out", "first step")]
    assert 0 < order[0] <= order[1] <= order[2] < run["wall_s"]
    assert {"command", "CohortTrainable", "raylet"} <= run["cpu_by_process_s"].keys()
    # No process was started ahead of work that it never gets.
    assert "IDLE" not in run["cpu_by_process_s"]
    assert run["cpu_s"] == pytest.approx(sum(run["cpu_by_process_s"].values()))
    assert {row["case"]: row["ours"] for row in found["rows"]}.keys() == LIMITS.keys()
    # 4 trials of the search, two a cohort, of which the first does not count.
    assert found["short_cohorts"]["cohorts"] == 1
    assert 0 < found["short_cohorts"]["training_s"] < found["short_cohorts"]["wall_s"]
    show(found)
    assert "run, to the first step" in capsys.readouterr().out


@pytest.mark.parametrize(("training_s", "is_warned"), [(2.0, False), (0.5, True), (4.5, True)])
def test_cohorts_too_short_or_too_long_for_the_limit_are_told(
    capsys: pytest.CaptureFixture[str], training_s: float, is_warned: bool
) -> None:
    times = {"wall_s": 20.0, "training_s": 4 * training_s}
    show_short({"cohorts": 4, **times, "outside": 0.6, "limit": 0.2})
    said = capsys.readouterr().out
    assert f"{training_s:.2f} s of 5.00 s a cohort are training, 60% are not" in said
    assert ("warning: a cohort should train for 1 to 4 s" in said) == is_warned


@pytest.mark.occasional
def test_commands_that_are_to_be_quick_import_nothing_heavy(found: dict[str, Any]) -> None:
    assert not HEAVY & case(found, "--help")["packages_s"].keys()
    assert not HEAVY & case(found, "validate quickstart")["packages_s"].keys()
    looking = HEAVY & case(found, "status")["packages_s"].keys()
    assert looking <= {"sqlalchemy", "optuna", "numpy"}
    assert {"torch"} == HEAVY - case(found, "run")["packages_s"].keys()


def test_a_worker_imports_nothing_that_only_its_driver_needs() -> None:
    """Ray has it import the module of what it is to run."""
    code = "import sys, service.scheduler; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"optuna", "mlflow", "sqlalchemy", "scipy", "ruamel"} & set(done.stdout.split())


def test_what_a_command_starts_is_counted_too(tmp_path: Path) -> None:
    busy = "import time\nwhile time.process_time() < 0.5: pass\n"
    child = tmp_path / "child.py"
    child.write_text(busy)
    parent = f"import subprocess, sys; subprocess.run([sys.executable, {str(child)!r}])"
    cost = cost_of([sys.executable, "-c", parent], {})
    assert cost.cpu_s["child.py"] == pytest.approx(0.5, abs=0.2)
    assert cost.cpu_s["command"] < 0.3
    assert cost.wall_s >= 0.5
    with pytest.raises(subprocess.CalledProcessError):
        cost_of([sys.executable, "-c", "raise SystemExit(3)"], {})
