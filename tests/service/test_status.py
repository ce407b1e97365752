import json
import time
from collections.abc import Callable

import pytest

from service.errors import SweepNotFoundError
from service.front import front
from service.ledger import Writer, release, tables
from service.objective import objective_of
from service.phases import BaselinePhase
from service.spec import Spec
from service.status import baseline_so_far, best_so_far, status
from service.trials import Trial

MakeTrial = Callable[..., Trial]
MakeSpec = Callable[..., Spec]
Record = Callable[..., None]

IN_SPACE = {"initial_bias": -0.5, "bias_decay": 1.0}


def test_a_new_sweep_waits_with_its_whole_budget(tiny_writer: Writer) -> None:
    found = status(tiny_writer.ledger, "tiny")
    assert found == {
        "name": "tiny",
        "phase": "baseline",
        "state": "running",
        "failure": None,
        "num_trials": 4,
        "search_ended": None,
        "resolved": None,
        "waits_for_worker": False,
        "objective": "monosemantic_per_feature",
        "objectives": [{"name": "monosemantic_per_feature", "direction": "maximize"}],
        "limits": [{"name": "loss_ratio", "at_most": 1.5}],
        "max_loss_ratio": 1.5,
        "trials": {"complete": 0, "pruned": 0, "failed": 0, "running": 0, "waiting": 4},
        "phases": {
            phase: {"complete": 0, "pruned": 0, "failed": 0, "running": 0, "waiting": 0}
            for phase in ("baseline", "search", "confirmation")
        },
        "baseline": None,
        "best": None,
        "front": [],
        "verdict": None,
    }
    json.dumps(found, allow_nan=False)


def test_a_sweep_waits_while_no_worker_takes_any_of_its_cohorts(
    tiny_writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(tables, "time_now", lambda _connection: now + later_s)

    def waits() -> bool:
        return status(tiny_writer.ledger, "tiny")["waits_for_worker"]

    later_s = 100.0
    assert not waits()
    first, second = (tiny_writer.begin_attempt(f"baseline-{n}") for n in range(2))
    # The database's own clock has set when they were handed out.
    later_s = 10.0
    assert not waits()
    later_s = 60.0
    assert waits()
    tiny_writer.record_begin("baseline-1", second, 0, "here 7")
    assert not waits()
    # One that ends makes room for the next: it begins to wait only now.
    tiny_writer.end_attempt("baseline-1", second, "died")
    later_s = 10.0
    assert not waits()
    later_s = 60.0
    assert waits()
    tiny_writer.end_attempt("baseline-0", first, "died")
    assert not waits()
    tiny_writer.begin_attempt("baseline-0")
    assert waits()
    # Nobody waits where nobody is at work.
    release(tiny_writer.ledger.engine, tiny_writer._lease)
    assert not waits()


def test_counts_baseline_and_best(
    tiny_writer: Writer, record: Record, make_trial: MakeTrial
) -> None:
    def searched(number: int, ratio: float, objective: float) -> Trial:
        return make_trial(
            "search",
            number,
            settings={**IN_SPACE, "num_neurons": 96},
            loss_ratio=ratio,
            loss=2.0 * ratio,
            monosemantic_per_feature=objective,
        )

    record(
        tiny_writer,
        make_trial("baseline", 0, seeds=(0,), loss=1.0),
        make_trial("baseline", 1, seeds=(1,), loss=3.0),
        searched(0, 1.25, 0.4),
        searched(1, 1.75, 0.9),  # beyond the ceiling
        make_trial("search", 2, settings=IN_SPACE, state="running"),
    )
    found = status(tiny_writer.ledger, "tiny")
    assert found["trials"] == {"complete": 2, "pruned": 0, "failed": 0, "running": 1, "waiting": 1}
    assert found["phases"]["baseline"]["complete"] == 2
    assert found["phases"]["search"]["waiting"] == 0
    # Mean of 1 and 3, and half of it on top.
    assert found["baseline"] == {"loss": 2.0, "ceiling": 3.0, "learning_rate": 0.02}
    assert found["best"] == {
        "trial": "search/0",
        "monosemantic_per_feature": 0.4,
        "loss": 2.5,
        "loss_ratio": 1.25,
        "params": {"initial_bias": -0.5, "bias_decay": 1.0, "num_neurons": 96},
    }
    json.dumps(found, allow_nan=False)


def test_failed_and_pruned_trials_are_counted_and_never_best(
    tiny_writer: Writer, record: Record, make_trial: MakeTrial
) -> None:
    record(
        tiny_writer,
        make_trial("search", 0, settings=IN_SPACE, state="failed", reason="diverged"),
        make_trial("search", 1, settings=IN_SPACE, state="pruned"),
    )
    found = status(tiny_writer.ledger, "tiny")
    assert found["trials"] == {"complete": 0, "pruned": 1, "failed": 1, "running": 0, "waiting": 2}
    assert found["best"] is None


def test_a_sweep_that_nobody_works_on_is_interrupted_and_its_trials_wait(
    tiny_writer: Writer, record: Record, make_trial: MakeTrial
) -> None:
    record(tiny_writer, make_trial("search", 0, settings=IN_SPACE, state="running"))
    release(tiny_writer.ledger.engine, tiny_writer._lease)
    found = status(tiny_writer.ledger, "tiny")
    assert found["state"] == "interrupted"
    assert found["trials"]["waiting"] == 4
    assert found["trials"]["running"] == 0


def test_a_finished_sweep_has_its_verdict(tiny_writer: Writer) -> None:
    tiny_writer.finish({"sentence": "search/1 wins."})
    found = status(tiny_writer.ledger, "tiny")
    assert (found["state"], found["phase"]) == ("finished", "report")
    assert found["verdict"] == "search/1 wins."


def test_a_failed_sweep_says_why_and_is_running_again_once_it_is_reopened(
    tiny_writer: Writer,
) -> None:
    tiny_writer.fail("the baseline must train to the end")
    found = status(tiny_writer.ledger, "tiny")
    assert (found["state"], found["failure"]) == ("failed", "the baseline must train to the end")
    tiny_writer.reopen()
    assert status(tiny_writer.ledger, "tiny")["state"] == "running"


def test_an_extended_sweep_waits_for_what_is_new(
    tiny_writer: Writer, record: Record, make_trial: MakeTrial
) -> None:
    for number in range(4):
        record(tiny_writer, make_trial("search", number, settings=IN_SPACE, loss=1.0))
    tiny_writer.finish({"sentence": "No winner."})
    tiny_writer.extend(7)
    found = status(tiny_writer.ledger, "tiny")
    assert (found["state"], found["num_trials"], found["verdict"]) == ("running", 7, None)
    assert (found["trials"]["complete"], found["trials"]["waiting"]) == (4, 3)


def test_an_unknown_sweep_is_refused(tiny_writer: Writer) -> None:
    with pytest.raises(SweepNotFoundError, match="found only: tiny"):
        status(tiny_writer.ledger, "other")


def test_no_baseline_before_one_trial_of_it_is_complete(
    make_spec: MakeSpec, make_trial: MakeTrial
) -> None:
    trials = [
        make_trial("baseline", 0, state="running"),
        make_trial("baseline", 1, state="failed"),
        make_trial("search", 0, loss=1.0),
        make_trial("confirmation", 0, loss=1.0),
    ]
    assert baseline_so_far(objective_of(make_spec()), trials) is None


def test_the_baseline_shown_is_the_one_that_trials_are_held_against(
    make_spec: MakeSpec, make_trial: MakeTrial
) -> None:
    """Rates 0.01 and 0.02 looked best on the first seed and got the other; 0.03 did not.

    Their means are 1.5 and 1.6, and the first seed of 0.03 alone (1.2) is no baseline.
    """
    spec = make_spec(("baseline: {num_seeds: 2}", "baseline: {num_seeds: 2, learning_rate: tuned}"))
    losses = [(0.01, 0, 1.0), (0.02, 0, 1.1), (0.03, 0, 1.2), (0.01, 1, 2.0), (0.02, 1, 2.1)]
    trials = [
        make_trial("baseline", n, seeds=(seed,), settings={"learning_rate": rate}, loss=loss)
        for n, (rate, seed, loss) in enumerate(losses)
    ]
    assert BaselinePhase(spec).settings(trials)["learning_rate"] == 0.01
    shown = baseline_so_far(objective_of(spec), trials)
    assert shown is not None
    assert (shown["learning_rate"], shown["loss"]) == (0.01, 1.5)
    assert shown["ceiling"] == pytest.approx(2.25)


def test_the_front_of_several_objectives(make_spec: MakeSpec, make_trial: MakeTrial) -> None:
    """Of 0.9 with 128 neurons, 0.5 with 64 and 0.4 with 96 the last is behind."""
    old = "objective: {maximize: monosemantic_per_feature, loss_margin: 0.5}"
    new = (
        "objective: {minimize: num_neurons, maximize: monosemantic_per_feature, loss_margin: null}"
    )
    objective = objective_of(make_spec((old, new)))
    trials = [
        make_trial(
            "search",
            number,
            settings={"num_neurons": width},
            loss_ratio=9.0,
            loss=9.0,
            monosemantic_per_feature=share,
        )
        for number, (share, width) in enumerate(((0.5, 64), (0.4, 96), (0.9, 128)))
    ]
    best = best_so_far(objective, trials)
    assert best == {
        "trial": "search/2",
        "monosemantic_per_feature": 0.9,
        "num_neurons": 128.0,
        "loss": 9.0,
        "loss_ratio": 9.0,
        "params": {"initial_bias": 0.0, "bias_decay": 0.0, "num_neurons": 128},
    }
    assert [trial.number for trial in front(trials, objective)] == [2, 0]
    shown = baseline_so_far(objective, [make_trial("baseline", 0, loss=1.0)])
    assert shown == {"loss": 1.0, "ceiling": None, "learning_rate": 0.02}


def test_ties_of_the_best_go_to_fewer_neurons(make_spec: MakeSpec, make_trial: MakeTrial) -> None:
    trials = [
        make_trial(
            "search",
            number,
            settings={"num_neurons": width},
            loss_ratio=1.0,
            loss=1.0,
            monosemantic_per_feature=0.5,
        )
        for number, width in enumerate((128, 64, 96))
    ]
    best = best_so_far(objective_of(make_spec()), trials)
    assert best is not None
    assert best["trial"] == "search/1"
