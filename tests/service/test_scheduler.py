"""What of the scheduler needs no cluster; ``integration`` has the rest."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from ray.tune.search import Searcher

import trainers
from service import stopping
from service.cohort import Cohort
from service.errors import CohortRefusedError, LedgerAwayError
from service.scheduler import IDLE_S, CohortTrainable, _CohortSearcher, _IdleWorkers
from service.storage import Storage
from service.trials import Result, Trial

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
                checkpoint_s=30.0,
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
    assert first.train()["num_steps_done"] == 0  # where it begins is known before it trains
    done = first.train()["num_steps_done"]
    first.stop()
    assert 0 < done < 4096
    again = CohortTrainable(config=make_cohort(attempt=2))
    report = again.train()
    assert (report["first_step"], report["num_steps_done"]) == (done, done)
    assert again.train()["num_steps_done"] > done
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
    worker.train()
    report = worker.train()
    assert report["done"] is True
    assert report["results"][0].state == "complete"
    assert worker._training._writer._is_closed
    # The same process takes the next cohort.
    assert worker.reset_config(make_cohort(number=1, num_steps=64))
    worker.train()
    assert worker.train()["results"][0].trial_id == "search/1"
    worker.stop()


class AwayLedger:
    """An agenda of one cohort, whose ledger is away while it is told to be."""

    def __init__(self, cohort: Cohort) -> None:
        self.is_away = False
        self.heard: list[str] = []
        self._cohort: Cohort | None = cohort

    @property
    def is_done(self) -> bool:
        return "ended" in self.heard

    def _hear(self, word: str) -> None:
        if self.is_away:
            raise LedgerAwayError("the ledger does not answer.")
        self.heard.append(word)

    def next_cohort(self) -> Cohort | None:
        self._hear("next")
        cohort, self._cohort = self._cohort, None
        return cohort

    def began(self, cohort_id: str, first_step: int, worker: str) -> None:
        self._hear(f"began at {first_step} on {worker}")

    def progressed(self, cohort_id: str, num_steps_done: int) -> None:
        """Nothing that needs the ledger."""

    def warned(self, cohort_id: str, warning: str) -> None:
        """Nothing that needs the ledger."""

    def ended(self, cohort_id: str, results: list[Result]) -> None:
        self._hear("ended")

    def died(self, cohort_id: str, reason: str, *, with_machine: bool) -> None:
        self._hear(f"died: {reason}")


REPORT = {
    "training_iteration": 1,
    "first_step": 64,
    "worker": "there 7",
    "num_steps_done": 128,
    "warnings": [],
}


def test_what_happens_while_the_ledger_is_away_is_told_in_its_order(
    make_cohort: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("service.outages.FIRST_PAUSE_S", 0.01)
    agenda = AwayLedger(make_cohort()["cohort"])
    searcher = _CohortSearcher(agenda)
    agenda.is_away = True
    assert searcher.suggest("a") is None
    agenda.is_away = False
    time.sleep(0.02)
    assert searcher.suggest("a") == make_cohort()
    agenda.is_away = True
    searcher.on_trial_result("a", REPORT)
    searcher.died("a", "killed")
    # Nothing new is begun before what happened is kept.
    assert searcher.suggest("b") is None
    assert agenda.heard == ["next"]
    agenda.is_away = False
    time.sleep(0.1)
    searcher.on_trial_complete("a", {**REPORT, "results": []})
    assert agenda.heard == ["next", "began at 64 on there 7", "died: killed", "ended"]
    assert searcher.suggest("b") == Searcher.FINISHED
    assert [message.split(".")[0] for message in caplog.messages] == [
        "the ledger does not answer",
        "The ledger answers again, after 0 s",
    ] * 2


def test_at_the_end_of_a_run_the_ledger_is_waited_for(
    make_cohort: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    agenda = AwayLedger(make_cohort()["cohort"])
    searcher = _CohortSearcher(agenda)
    searcher.suggest("a")
    agenda.is_away = True
    searcher.on_trial_complete("a", {**REPORT, "results": []})
    threading.Timer(0.3, setattr, (agenda, "is_away", False)).start()
    searcher.tell_the_rest()
    assert agenda.heard[-1] == "ended"
    # But not for ever: what is not kept is trained again from the last checkpoint.
    monkeypatch.setattr("service.scheduler.LAST_WORDS_S", 0.0)
    agenda.is_away = True
    searcher.died("a", "killed")
    searcher.tell_the_rest()
    assert agenda.heard[-1] == "ended"


def test_a_worker_that_refuses_a_cohort_says_so_and_the_next_one_may_take_it(
    make_cohort: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainers, "bfloat16_is_native", lambda _device: False)
    config = make_cohort()
    training = {**config["cohort"].training, "precision": "bfloat16"}
    worker = CohortTrainable(config={"cohort": replace(config["cohort"], training=training)})
    report = worker.train()
    assert "must have bfloat16 products" in report["refused"]
    assert report["done"] is True
    assert worker.reset_config(make_cohort(num_steps=64))
    worker.train()
    assert worker.train()["results"][0].state == "complete"
    worker.stop()


def test_a_refusal_ends_the_run_and_is_nobodys_death(
    make_cohort: Callable[..., dict[str, Any]],
) -> None:
    """Tried again and again on such machines, the cohort's trials would fail without a fault."""
    agenda = AwayLedger(make_cohort()["cohort"])
    with stopping.listening("s"):
        searcher = _CohortSearcher(agenda)
        searcher.suggest("a")
        agenda._cohort = make_cohort(number=1)["cohort"]
        searcher.suggest("b")
        refused = {"first_step": None, "num_steps_done": 0, "warnings": [], "refused": "Not here."}
        searcher.on_trial_complete("a", refused)
        assert stopping.is_asked()
        assert searcher.suggest("c") == Searcher.FINISHED
        searcher.on_trial_complete("b", {**REPORT, "results": []})
        with pytest.raises(CohortRefusedError, match="Not here"):
            searcher.tell_the_rest()
    assert agenda.heard == ["next", "next", "ended"]


def test_nothing_is_handed_out_once_somebody_asked_for_the_end(
    make_cohort: Callable[..., dict[str, Any]],
) -> None:
    """Tune would ask for a cohort again and again, and never look whether it is to stop."""
    agenda = AwayLedger(make_cohort()["cohort"])
    with stopping.listening("s"):
        stopping.ask()
        assert _CohortSearcher(agenda).suggest("a") == Searcher.FINISHED
    with stopping.listening("s"):
        assert _CohortSearcher(agenda).suggest("a") == make_cohort()


def test_workers_between_two_phases_are_kept_for_a_moment() -> None:
    now = [100.0]
    idle = _IdleWorkers(clock=lambda: now[0])
    for worker in "abc":
        assert idle.cache_object("one cpu", worker)
    now[0] += IDLE_S - 1.0
    assert list(idle.flush_cached_objects()) == []
    # The next phase takes one; another comes back.
    assert idle.pop_cached_object("one cpu") == "a"
    assert idle.cache_object("one cpu", "a")
    now[0] += IDLE_S - 1.0
    assert list(idle.flush_cached_objects()) == []
    now[0] += 1.0
    # Tune's own way from here on: all but one.
    assert list(idle.flush_cached_objects()) == ["b", "c"]
    assert idle.num_cached_objects == 1
    assert list(idle.flush_cached_objects(force_all=True)) == ["a"]
