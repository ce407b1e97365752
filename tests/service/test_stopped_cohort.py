"""Real cohorts that stop their worst trials, interrupted anywhere."""

from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import trainers
from service.checkpoints import Checkpoints
from service.cohort import Cohort, CohortTraining
from service.early_stopping import EarlyStopping
from service.objective import AT_MOST, MAXIMIZE, Goal, Limit, Objective
from service.storage import Storage
from service.trials import Result, Trial

MakeTrial = Callable[..., Trial]

TASK = {"kind": "feature_decoder", "num_features": 64, "num_inputs": 16, "feature_density": 0.03125}
# A chunk of the data stream is 32 steps: the first rung lies within one.
RUNGS = (16, 32, 64)
NUM_STEPS = 80
TRAINING = {"num_steps": NUM_STEPS, "batch_size": 32, "precision": "float32"}
SEEDS = (3, 5)
# Five trials, one of which diverges; by hand: 4, 2 and 1 of the others are trained on.
CHANGES: list[dict[str, float | int | str]] = [
    {"learning_rate": 0.001},
    {"initial_bias": -0.2},
    {"learning_rate": 1e30},
    {"num_neurons": 96, "nonlinearity": "gelu"},
    {"initial_bias": -0.6, "bias_decay": 2.0},
]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """A cohort fixes the threads of its process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def stopping(make_trial: MakeTrial) -> EarlyStopping:
    """Halving against a baseline that the trainers trained by themselves."""
    torch.set_num_threads(1)
    settings = make_trial("baseline", 0).settings
    state = trainers.begin(
        trainers.Task(**TASK),  # type: ignore[arg-type]
        trainers.TrainingSettings(**TRAINING),  # type: ignore[arg-type]
        [trainers.Member(seed=seed, **settings) for seed in SEEDS],  # type: ignore[arg-type]
    )
    curves = [one.curve for one in trainers.outcomes(trainers.advance(state, NUM_STEPS))]
    return EarlyStopping(
        reduction=2,
        objective=Objective(
            (Goal("monosemantic_per_feature", MAXIMIZE),), (Limit("loss_ratio", 1.02, AT_MOST),)
        ),
        baseline={
            rung: {
                seed: dict(zip(curve.steps.tolist(), curve.loss.tolist(), strict=True))[rung]
                for seed, curve in zip(SEEDS, curves, strict=True)
            }
            for rung in RUNGS
        },
    )


@pytest.fixture(scope="module")
def trials(make_trial: MakeTrial) -> tuple[Trial, ...]:
    return tuple(
        make_trial("search", number, seeds=SEEDS, state="running", settings=changed)
        for number, changed in enumerate(CHANGES)
    )


def begun(
    folder: Path, trials: tuple[Trial, ...], stopping: EarlyStopping | None, attempt: int = 1
) -> CohortTraining:
    training = CohortTraining(
        Cohort(
            sweep="s",
            cohort_id="search-0",
            attempt=attempt,
            trials=trials,
            task=TASK,
            training=TRAINING,
            num_threads=1,
            checkpoint_s=30.0,
            storage=str(folder),
            early_stopping=stopping,
        )
    )
    training.advance(0.0)
    return training


def ended(training: CohortTraining) -> list[Result]:
    while not training.is_finished:
        training.advance(60.0)
    training.close()
    return training.results()


Numbers = tuple[list[dict[str, Any]], pa.Table, pa.Table]


def numbers(folder: Path, results: list[Result]) -> Numbers:
    """All that a cohort leaves, but for times and its attempt."""
    names = ("trial_id", "state", "reason", "metrics", "replicates", "num_steps", "standings")
    storage = Storage(str(folder))
    return (
        [{name: getattr(result, name) for name in names} for result in results],
        storage.read_table(str(results[0].curves)),
        storage.read_table(str(results[0].neurons)),
    )


@pytest.fixture(scope="module")
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory, trials: tuple[Trial, ...], stopping: EarlyStopping
) -> Numbers:
    folder = tmp_path_factory.mktemp("uninterrupted")
    return numbers(folder, ended(begun(folder, trials, stopping)))


def test_half_of_the_trials_are_stopped_at_each_rung(
    uninterrupted: Numbers, stopping: EarlyStopping
) -> None:
    (results, curves, neurons), baseline = uninterrupted, stopping.baseline[16]
    by_state: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        by_state.setdefault(result["state"], []).append(result)
    assert [len(by_state[state]) for state in ("complete", "pruned", "failed")] == [1, 3, 1]
    assert by_state["failed"][0]["trial_id"] == "search/2"
    # Rung 16 lies within the chunk at whose end the diverging trial is found out.
    stopped = sorted(result["num_steps"] for result in by_state["pruned"])
    assert stopped == [16, 16, 32]
    assert by_state["complete"][0]["num_steps"] == NUM_STEPS
    assert {row["trial_id"] for row in neurons.to_pylist()} == {by_state["complete"][0]["trial_id"]}
    # How each stood against the baseline at every rung that it reached, both seeds averaged.
    reached = {result["trial_id"]: list(result["standings"]) for result in results}
    assert reached[by_state["complete"][0]["trial_id"]] == ["16", "32", "64"]
    for result in by_state["pruned"]:
        rungs = ["16", "32", "64"][: 1 if result["num_steps"] == 16 else 2]
        assert reached[result["trial_id"]] == rungs
        at_16 = [
            row
            for row in curves.to_pylist()
            if (row["trial_id"], row["step"]) == (result["trial_id"], 16)
        ]
        assert result["standings"]["16"] == pytest.approx(
            {
                "loss_ratio": fmean(row["loss"] / baseline[row["seed"]] for row in at_16),
                "concentration_per_feature": fmean(r["concentration_per_feature"] for r in at_16),
            }
        )
        assert (result["metrics"], result["replicates"]) == ({}, ())
        assert result["reason"].startswith(f"stopped at step {result['num_steps']}: rank ")
        steps = [row["step"] for row in curves.to_pylist() if row["trial_id"] == result["trial_id"]]
        assert max(steps) == result["num_steps"]
        assert len(steps) == 2 * (result["num_steps"].bit_length())  # 1, 2, 4, ... of two seeds


def test_the_survivor_is_as_if_trained_alone(
    tmp_path: Path, trials: tuple[Trial, ...], uninterrupted: Numbers
) -> None:
    (survivor,) = (result for result in uninterrupted[0] if result["state"] == "complete")
    (trial,) = (trial for trial in trials if trial.trial_id == survivor["trial_id"])
    (alone,) = ended(begun(tmp_path, (trial,), None))
    assert (alone.metrics, alone.replicates) == (survivor["metrics"], survivor["replicates"])


def test_a_lone_trial_is_never_stopped(
    tmp_path: Path, trials: tuple[Trial, ...], stopping: EarlyStopping
) -> None:
    (result,) = ended(begun(tmp_path, trials[:1], stopping))
    assert (result.state, result.num_steps) == ("complete", NUM_STEPS)


def die(folder: Path, training: CohortTraining, num_steps: int, attempt: int) -> None:
    """End an attempt after so many steps more, at any step, and before a drop that is due.

    The cohort itself looks up at the ends of chunks and at rungs only, so the trainers go on from
    the state that it left.
    """
    training.close()
    checkpoints = Checkpoints(Storage(str(folder)), "s", "search-0")
    state = checkpoints.adopt(trainers.from_bytes).state
    assert state is not None
    if state.step not in RUNGS:
        rung = min([*(rung for rung in RUNGS if rung > state.step), NUM_STEPS - 1])
        trainers.advance(state, min(num_steps, rung - state.step))
    checkpoints.write(trainers.to_bytes(state), num_steps_done=state.step, attempt=attempt)


CUTS = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 32)), min_size=1, max_size=3)


@settings(max_examples=12, deadline=None)
@given(cuts=CUTS)
def test_interrupted_anywhere_it_ends_as_if_it_never_was(
    trials: tuple[Trial, ...],
    stopping: EarlyStopping,
    uninterrupted: Numbers,
    cuts: list[tuple[int, int]],
) -> None:
    """Each attempt halts some times, goes some steps on, and is gone."""
    with TemporaryDirectory() as name:
        folder, attempt = Path(name), 0
        for attempt, (num_halts, num_steps) in enumerate(cuts, start=1):
            training = begun(folder, trials, stopping, attempt)
            for _ in range(num_halts):
                training.advance(0.0)
            if training.is_finished:
                break
            die(folder, training, num_steps, attempt)
        found = numbers(folder, ended(begun(folder, trials, stopping, attempt + 1)))
    assert found[0] == uninterrupted[0]
    assert found[1].equals(uninterrupted[1])
    assert found[2].equals(uninterrupted[2])


@pytest.mark.parametrize("rung", RUNGS)
def test_interrupted_between_reaching_a_rung_and_dropping(
    tmp_path: Path,
    trials: tuple[Trial, ...],
    stopping: EarlyStopping,
    uninterrupted: Numbers,
    rung: int,
) -> None:
    training = begun(tmp_path, trials, stopping)
    while training.num_steps_done < rung:
        training.advance(0.0)
    training.close()
    training = begun(tmp_path, trials, stopping, attempt=2)
    assert training.num_steps_done == rung
    assert numbers(tmp_path, ended(training))[0] == uninterrupted[0]
