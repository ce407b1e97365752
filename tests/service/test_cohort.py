"""Real trainings of networks so small that each takes a tenth of a second."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch

import trainers
from service.cohort import Cohort, CohortTraining
from service.errors import CohortRefusedError
from service.storage import Storage
from service.trials import Result, Trial

MakeTrial = Callable[..., Trial]

TASK = {"kind": "feature_decoder", "num_features": 64, "num_inputs": 16, "feature_density": 0.03125}
TRAINING = {"num_steps": 256, "batch_size": 32, "precision": "float32"}
STEPS = [1, 2, 4, 8, 16, 32, 64, 128, 256]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """A cohort fixes the threads of its process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def train(
    storage: Path | str, *trials: Trial, seconds: float = 60.0, **changes: Any
) -> list[Result]:
    training = begun(storage, *trials, **changes)
    while not training.is_finished:
        training.advance(seconds)
    training.close()
    return training.results()


def begun(storage: Path | str, *trials: Trial, **changes: Any) -> CohortTraining:
    values = {
        "sweep": "s",
        "cohort_id": "search-0",
        "attempt": 1,
        "trials": trials,
        "task": TASK,
        "training": TRAINING,
        "num_threads": 1,
        "storage": str(storage),
        "checkpoint_s": 30.0,
    }
    training = CohortTraining(Cohort(**{**values, **changes}))  # type: ignore[arg-type]
    training.advance(0.0)
    return training


def alone(trial: Trial, seed: int) -> trainers.Outcome:
    """The same network by the trainers themselves, with nobody beside it."""
    torch.set_num_threads(1)
    member = trainers.Member(seed=seed, **trial.settings)  # type: ignore[arg-type]
    state = trainers.begin(
        trainers.Task(**TASK),  # type: ignore[arg-type]
        trainers.TrainingSettings(**TRAINING),  # type: ignore[arg-type]
        [member],
    )
    (outcome,) = trainers.outcomes(trainers.advance(state, 256))
    return outcome


@pytest.fixture
def narrow(make_trial: MakeTrial) -> Trial:
    return make_trial("search", 0, seeds=(3, 5), state="running")


@pytest.fixture
def wide(make_trial: MakeTrial) -> Trial:
    changed = {"num_neurons": 96, "initial_bias": -0.5, "bias_decay": 2.0, "nonlinearity": "gelu"}
    return make_trial("search", 4, seeds=(5,), state="running", settings=changed)


@pytest.fixture
def diverging(make_trial: MakeTrial) -> Trial:
    rate = {"learning_rate": 1.0}
    return make_trial("search", 7, seeds=(3, 5), state="running", settings=rate)


def test_results_are_means_over_replicates_each_as_if_trained_alone(
    tmp_path: Path, narrow: Trial, wide: Trial
) -> None:
    two, one = train(tmp_path, narrow, wide)
    assert (two.trial_id, one.trial_id) == ("search/0", "search/4")
    for result, trial in ((two, narrow), (one, wide)):
        assert (result.state, result.reason) == ("complete", None)
        assert (result.attempt, result.num_steps) == (1, 256)
        assert result.loss_ratio is None  # judged by the driver, who knows the baseline
        assert set(result.metrics) == set(trainers.METRICS)
        assert len(result.replicates) == len(trial.seeds)
        for replicate, seed in zip(result.replicates, trial.seeds, strict=True):
            expected = alone(trial, seed).evaluation
            assert replicate == vars(expected)
    first, second = two.replicates
    assert first != second
    for name, mean in two.metrics.items():
        assert mean == pytest.approx((first[name] + second[name]) / 2)
    assert one.metrics == one.replicates[0]


def test_networks_are_kept_of_confirmation_trials_only(
    tmp_path: Path, make_trial: MakeTrial
) -> None:
    kept, diverged = train(
        tmp_path,
        make_trial("confirmation", 0, settings={"num_neurons": 96}),
        make_trial("confirmation", 1, settings={"learning_rate": 30.0}),
    )
    assert diverged.weights is None
    (network,) = trainers.networks_from_bytes(Storage(str(tmp_path)).read_file(str(kept.weights)))
    assert (network.member.seed, network.encoder.shape) == (0, (96, 16))
    assert network.bias.mean() == pytest.approx(kept.metrics["mean_bias"], abs=1e-6)
    assert [one.weights for one in train(tmp_path, make_trial("search", 0))] == [None]


def test_every_number_of_a_result_is_a_plain_float(tmp_path: Path, narrow: Trial) -> None:
    (result,) = train(tmp_path, narrow)
    numbers = [*result.metrics.values(), *(n for r in result.replicates for n in r.values())]
    assert {type(number) for number in [*numbers, result.train_s]} == {float}
    assert type(result.num_steps) is int
    assert result.train_s > 0


def test_curves_have_a_row_for_each_step_of_each_network(
    tmp_path: Path, narrow: Trial, wide: Trial
) -> None:
    two, one = train(tmp_path, narrow, wide)
    assert two.curves == one.curves
    assert str(two.curves).startswith("results/s/search-0/curves-1-")
    rows = Storage(str(tmp_path)).read_table(str(two.curves)).to_pylist()
    labels = [(row["trial_id"], row["replicate"], row["seed"], row["step"]) for row in rows]
    assert labels == [
        *(("search/0", 0, 3, step) for step in STEPS),
        *(("search/0", 1, 5, step) for step in STEPS),
        *(("search/4", 0, 5, step) for step in STEPS),
    ]
    last = [row for row in rows if row["step"] == 256]
    for row, replicate in zip(last, [*two.replicates, *one.replicates], strict=True):
        assert {name: row[name] for name in trainers.METRICS} == replicate
    by_steps = alone(wide, 5).curve
    assert [row["loss"] for row in rows if row["trial_id"] == "search/4"] == list(by_steps.loss)


def test_neurons_have_a_row_for_each_neuron_of_each_network(
    tmp_path: Path, narrow: Trial, wide: Trial
) -> None:
    two, one = train(tmp_path, narrow, wide)
    assert two.neurons == one.neurons
    assert str(two.neurons).startswith("results/s/search-0/neurons-1-")
    rows = Storage(str(tmp_path)).read_table(str(two.neurons)).to_pylist()
    labels = [(row["trial_id"], row["replicate"], row["seed"], row["neuron"]) for row in rows]
    assert labels == [
        *(("search/0", 0, 3, neuron) for neuron in range(64)),
        *(("search/0", 1, 5, neuron) for neuron in range(64)),
        *(("search/4", 0, 5, neuron) for neuron in range(96)),
    ]
    # What the neurons say adds up to what the result says.
    mine = [row for row in rows if row["trial_id"] == "search/4"]
    num_monosemantic = sum(row["kind"] == "monosemantic" for row in mine)
    assert one.metrics["monosemantic_per_neuron"] == num_monosemantic / 96
    assert one.metrics["monosemantic_per_feature"] == num_monosemantic / 64
    assert one.metrics["num_dead"] == sum(row["kind"] == "dead" for row in mine)
    assert one.metrics["mean_bias"] == pytest.approx(sum(row["bias"] for row in mine) / 96)


def test_a_diverged_trial_fails_with_its_reason_and_its_neighbours_are_unharmed(
    tmp_path: Path, narrow: Trial, wide: Trial, diverging: Trial
) -> None:
    without = train(tmp_path / "without", narrow, wide)
    first, failed, last = train(tmp_path / "with", narrow, diverging, wide)
    assert failed.state == "failed"
    assert failed.reason is not None
    assert failed.reason.startswith("diverged: loss ")
    assert (failed.metrics, failed.replicates) == ({}, ())
    for healthy, expected in zip((first, last), without, strict=True):
        assert (healthy.metrics, healthy.replicates) == (expected.metrics, expected.replicates)
    storage = Storage(str(tmp_path / "with"))
    neurons = storage.read_table(str(failed.neurons)).to_pylist()
    assert {row["trial_id"] for row in neurons} == {"search/0", "search/4"}


def test_one_diverged_replicate_fails_its_trial(
    tmp_path: Path, make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Divergence of the second replicate alone, as no small network does of itself."""
    trial = make_trial("search", 0, seeds=(3, 5), state="running")
    outcomes = trainers.outcomes
    failing = alone(make_trial("search", 0, settings={"learning_rate": 1.0}), 5)
    assert failing.reason is not None
    monkeypatch.setattr(trainers, "outcomes", lambda state: (outcomes(state)[0], failing))
    (result,) = train(tmp_path, trial)
    assert (result.state, result.reason) == ("failed", f"diverged: {failing.reason}")
    assert (result.metrics, result.replicates) == ({}, ())


def test_a_diverged_trial_has_done_the_steps_until_it_was_taken_out(
    tmp_path: Path, diverging: Trial
) -> None:
    (result,) = train(tmp_path, diverging, training={**TRAINING, "num_steps": 2048})
    assert result.state == "failed"
    state = trainers.begin(
        trainers.Task(**TASK),  # type: ignore[arg-type]
        trainers.TrainingSettings(**{**TRAINING, "num_steps": 2048}),  # type: ignore[arg-type]
        [trainers.Member(seed=seed, **diverging.settings) for seed in (3, 5)],  # type: ignore[arg-type]
    )
    outcomes = trainers.outcomes(trainers.advance(state, 2048))
    assert result.num_steps == max(outcome.diverged_at or 0 for outcome in outcomes)


def test_a_cohort_that_diverges_whole_still_has_files(tmp_path: Path, diverging: Trial) -> None:
    (result,) = train(tmp_path, diverging)
    storage = Storage(str(tmp_path))
    assert storage.read_table(str(result.neurons)).num_rows == 0
    curves = storage.read_table(str(result.curves)).to_pylist()
    assert {row["trial_id"] for row in curves} == {"search/7"}


def test_an_attempts_files_carry_its_number(storage_uri: str, wide: Trial) -> None:
    (first,) = train(storage_uri, wide)
    (second,) = train(storage_uri, wide, attempt=2)
    assert second.attempt == 2
    storage = Storage(storage_uri)
    names = [name.rpartition("-")[0] for name in storage.names("results/s/search-0")]
    assert names == [f"{what}-{n}" for what in ("curves", "neurons") for n in (1, 2)]
    again = storage.read_table(str(second.curves))
    assert again.equals(storage.read_table(str(first.curves)))
    assert second.metrics == first.metrics


def test_training_in_moments_gives_the_same_as_in_one_go(tmp_path: Path, wide: Trial) -> None:
    (in_moments,) = train(tmp_path / "a", wide, seconds=1e-4)
    (in_one_go,) = train(tmp_path / "b", wide)
    assert in_moments.metrics == in_one_go.metrics


def test_steps_done_are_told_as_it_goes(tmp_path: Path, wide: Trial) -> None:
    training = begun(tmp_path, wide)
    seen = [training.num_steps_done]
    while not training.is_finished:
        training.advance(1e-4)
        seen.append(training.num_steps_done)
    assert (seen[0], seen[-1]) == (0, 256)
    assert seen == sorted(set(seen))
    assert len(seen) > 2


def test_the_phase_is_its_trials_and_no_log_tells_a_storages_keys(make_trial: MakeTrial) -> None:
    cohort = Cohort(
        sweep="s",
        cohort_id="confirmation-0",
        attempt=1,
        trials=(make_trial("confirmation", 0),),
        task=TASK,
        training=TRAINING,
        num_threads=1,
        checkpoint_s=30.0,
        storage="s3://KEY:hunter2@bucket",
    )
    assert cohort.phase == "confirmation"
    # Ray Tune makes the names of its files of it.
    assert "hunter2" not in repr(cohort)


def test_settings_that_the_trainers_refuse_are_not_trained(
    tmp_path: Path, make_trial: MakeTrial
) -> None:
    with pytest.raises(ValueError, match="num_neurons must be at least 1, found 0"):
        train(tmp_path, make_trial("search", 0, settings={"num_neurons": 0}))


def test_a_machine_without_bfloat16_products_refuses_by_name(
    tmp_path: Path, narrow: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainers, "bfloat16_is_native", lambda _device: False)
    with pytest.raises(CohortRefusedError, match="must have bfloat16 products in hardware"):
        train(tmp_path, narrow, training={**TRAINING, "precision": "bfloat16"})
    assert train(tmp_path, narrow)[0].state == "complete"


def test_a_checkpoint_of_a_later_version_is_refused_by_name_and_stays(
    tmp_path: Path, narrow: Trial
) -> None:
    """As an earlier monosweep would find it, on one machine of a cluster or after a downgrade."""
    first = begun(tmp_path, narrow)
    first.advance(0.0)
    first.close()
    (path,) = (tmp_path / "cohorts/s/search-0").iterdir()
    ours = path.read_bytes()
    later = re.sub(rb'(format_version\\": )\d', rb"\g<1>9", ours)
    assert later != ours
    path.write_bytes(later)
    with pytest.raises(CohortRefusedError, match=r"search-0 .*found 9\. Install a later monosweep"):
        begun(tmp_path, narrow, attempt=2)
    assert path.read_bytes() == later
    path.write_bytes(ours)
    assert begun(tmp_path, narrow, attempt=2).first_step == first.num_steps_done


NUMBERS = ("state", "metrics", "replicates", "num_steps", "reason")


def numbers(result: Result) -> dict[str, Any]:
    return {name: getattr(result, name) for name in NUMBERS}


def interrupted(storage: Path | str, *trials: Trial, num_steps: int, **changes: Any) -> int:
    """Train so far and a little farther, and leave a checkpoint; the steps that were done."""
    training = begun(storage, *trials, **changes)
    while training.num_steps_done < num_steps:
        training.advance(0.0)
    training.close()
    return training.num_steps_done


def test_the_next_attempt_goes_on_where_the_last_one_was(
    tmp_path: Path, storage_uri: str, narrow: Trial, wide: Trial, diverging: Trial
) -> None:
    trials = narrow, wide, diverging
    expected = train(tmp_path / "whole", *trials)
    done = interrupted(storage_uri, *trials, num_steps=64)
    assert 64 <= done < 256
    training = begun(storage_uri, *trials, attempt=2)
    assert training.num_steps_done == done
    while not training.is_finished:
        training.advance(60.0)
    found = training.results()
    assert list(map(numbers, found)) == list(map(numbers, expected))
    assert training.take_warnings() == []


def test_a_first_attempt_takes_nothing_that_is_there(tmp_path: Path, narrow: Trial) -> None:
    """It is of another sweep of the same name."""
    interrupted(tmp_path, narrow, num_steps=64)
    assert begun(tmp_path, narrow).num_steps_done == 0


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_taken(
    storage_uri: str, narrow: Trial
) -> None:
    first = interrupted(storage_uri, narrow, num_steps=32)
    interrupted(storage_uri, narrow, num_steps=128, attempt=2)
    storage = Storage(storage_uri)
    older, newer = storage.names("cohorts/s/search-0")
    newest = f"cohorts/s/search-0/{newer}"
    storage.write_bytes(newest, storage.read_bytes(newest)[:-1])
    training = begun(storage_uri, narrow, attempt=3)
    assert training.num_steps_done == first
    (warning,) = training.take_warnings()
    assert f"a checkpoint was not used: {newest}: " in warning
    assert "must be whole" in warning
    assert training.take_warnings() == []
    assert storage.names("cohorts/s/search-0") == [older]


def test_another_cohorts_checkpoint_is_not_taken(
    tmp_path: Path, narrow: Trial, wide: Trial
) -> None:
    interrupted(tmp_path, wide, num_steps=64)
    training = begun(tmp_path, narrow, attempt=2)
    assert training.num_steps_done == 0
    assert "it is another cohort's" in training.take_warnings()[0]


def test_training_goes_on_while_a_checkpoint_is_written(
    tmp_path: Path, narrow: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write = Event()
    write_bytes = Storage.write_bytes

    def wait_and_write(storage: Storage, path: str, data: bytes) -> None:
        assert may_write.wait(60)
        write_bytes(storage, path, data)

    monkeypatch.setattr(Storage, "write_bytes", wait_and_write)
    training = begun(tmp_path, narrow, checkpoint_s=0.0)
    training.advance(60.0)
    assert training.is_finished
    may_write.set()
    training.close()
    # One was enough: the first had not been written when the others were due.
    assert len(list((tmp_path / "cohorts/s/search-0").iterdir())) == 1


def test_closing_twice_is_as_good_as_once(tmp_path: Path, narrow: Trial) -> None:
    training = begun(tmp_path, narrow)
    training.advance(0.0)
    for _ in range(2):
        training.close()
        assert len(list((tmp_path / "cohorts/s/search-0").iterdir())) == 1


def test_a_storage_that_refuses_costs_no_training(
    tmp_path: Path, narrow: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("slow down")

    monkeypatch.setattr("service.outages.LONGEST_PAUSE_S", 0.01)
    training = begun(tmp_path, narrow, checkpoint_s=0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "write_bytes", refuse)
        while not training.is_finished:
            training.advance(60.0)
        training.close()
    assert [warning.partition(", after")[0] for warning in training.take_warnings()] == [
        "a checkpoint could not be written: slow down. Training goes on.",
        "The storage answers again",
    ]
    assert training.results()[0].state == "complete"


def refuse_all(*_: object) -> None:
    raise OSError("connection refused")


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Takes methods of the storage away until it is undone."""
    monkeypatch.setattr("service.outages.FIRST_PAUSE_S", 0.01)
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_results_wait_for_a_storage_that_is_away(
    tmp_path: Path, narrow: Trial, away: pytest.MonkeyPatch
) -> None:
    away.setattr(Storage, "add_table", refuse_all)
    training = begun(tmp_path, narrow)
    for _ in range(4):
        training.advance(60.0)
    assert training.num_steps_done == 256
    assert not training.is_finished
    assert training.take_warnings() == [
        "the storage does not answer: connection refused. It is waited for."
    ]
    away.undo()
    while not training.is_finished:
        training.advance(60.0)
    assert training.take_warnings() == ["The storage answers again, after 0 s."]
    (result,) = training.results()
    (undisturbed,) = train(tmp_path / "undisturbed", narrow)
    assert result == replace(undisturbed, train_s=result.train_s)


def test_a_cohort_does_not_begin_anew_while_its_checkpoint_cannot_be_seen(
    tmp_path: Path, narrow: Trial, away: pytest.MonkeyPatch
) -> None:
    first = begun(tmp_path, narrow)
    first.advance(0.0)
    first.close()
    away.setattr(Storage, "names", refuse_all)
    again = begun(tmp_path, narrow, attempt=2)
    again.advance(60.0)
    assert (again.first_step, again.num_steps_done) == (None, 0)
    away.undo()
    while again.first_step is None:
        again.advance(60.0)
    assert again.first_step == first.num_steps_done > 0


def test_stopped_while_its_results_are_refused_it_is_not_trained_again(
    tmp_path: Path, narrow: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "add_table", refuse_all)
        training = begun(tmp_path, narrow)
        training.advance(60.0)
        assert not training.is_finished
        training.close()
    again = begun(tmp_path, narrow, attempt=2)
    assert again.first_step == 256
    again.advance(60.0)
    assert again.results()[0].state == "complete"
