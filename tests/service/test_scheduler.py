"""What of the scheduler needs no cluster; ``integration`` has the rest."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from service.cohort import Cohort
from service.scheduler import CohortTrainable
from service.storage import Storage
from service.trials import Trial

MakeTrial = Callable[..., Trial]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """A cohort fixes the threads of its process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def make_cohort(tmp_path: Path, make_trial: MakeTrial) -> Callable[..., dict[str, Any]]:
    def make(number: int = 0, attempt: int = 1, num_steps: int = 4096) -> dict[str, Any]:
        return {
            "cohort": Cohort(
                sweep="s",
                cohort_id=f"search-{number}",
                attempt=attempt,
                trials=(make_trial("search", number, state="running"),),
                task={
                    "kind": "feature_decoder",
                    "num_features": 64,
                    "num_inputs": 16,
                    "feature_density": 0.03125,
                },
                training={"num_steps": num_steps, "batch_size": 32, "precision": "float32"},
                num_threads=1,
                storage=str(tmp_path),
            )
        }

    return make


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.scheduler.REPORT_S", 0.0)


@pytest.mark.usefixtures("_impatient")
def test_a_stopped_worker_leaves_a_checkpoint_and_the_next_one_goes_on_from_it(
    tmp_path: Path, make_cohort: Callable[..., dict[str, Any]]
) -> None:
    first = CohortTrainable(config=make_cohort())
    done = first.train()["num_steps_done"]
    first.stop()
    assert 0 < done < 4096
    again = CohortTrainable(config=make_cohort(attempt=2))
    report = again.train()
    assert report["first_step"] == done
    assert report["num_steps_done"] > done
    again.stop()


@pytest.mark.usefixtures("_impatient")
def test_a_worker_reports_what_people_should_know(
    make_cohort: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    Storage(str(tmp_path)).write_bytes("cohorts/s/search-0/1-1.safetensors", b"nothing")
    worker = CohortTrainable(config=make_cohort(attempt=2))
    assert "a checkpoint was not used" in worker.train()["warnings"][0]
    assert worker.train()["warnings"] == []
    worker.stop()


def test_when_results_are_known_nothing_of_the_cohort_is_written_any_more(
    tmp_path: Path, make_cohort: Callable[..., dict[str, Any]]
) -> None:
    worker = CohortTrainable(config=make_cohort(num_steps=64))
    report = worker.train()
    assert report["done"] is True
    assert report["results"][0].state == "complete"
    assert worker._training._writer._shutdown
    # The same process takes the next cohort.
    assert worker.reset_config(make_cohort(number=1, num_steps=64))
    assert worker.train()["results"][0].trial_id == "search/1"
    worker.stop()
