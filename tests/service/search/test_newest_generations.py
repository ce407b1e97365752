"""What samplers are spared to look at decides nothing: the same is proposed as with all of it."""

import random
import warnings
from collections.abc import Callable
from dataclasses import replace

import optuna
import pytest
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from search_spaces import Choice, Float, Int, Space
from service.objective import AT_MOST, LOSS_RATIO, MAXIMIZE, Goal, Limit, Objective
from service.search import Search, generations, proposals, samplers
from service.search.newest_generations import NewestGenerations
from service.trials import Result, Settings, Trial

SPACE = Space(
    {
        "initial_bias": Float(-1.0, 0.0),
        "num_neurons": Int(32, 1024, step=32),
        "nonlinearity": Choice(("relu", "gelu")),
    }
)
BASE: Settings = {
    "num_neurons": 64,
    "nonlinearity": "relu",
    "learning_rate": 0.02,
    "initial_bias": 0.0,
    "bias_decay": 0.0,
    "l1": 0.0,
}
OBJECTIVE = Objective(
    goals=(Goal("feature_coverage", MAXIMIZE),), limits=(Limit(LOSS_RATIO, 1.02, AT_MOST),)
)
# A population of NSGA-II is an eighth of it: ten generations and more.
NUM_TRIALS = 64
NUM_ASKED = 120


def searched(sampler: str, seed: int) -> list[Settings]:
    """Three are asked at a time; they end out of order and late, some without a value."""
    search = Search(
        SPACE,
        BASE,
        sampler=sampler,
        sweep_seed=seed,
        num_trials=NUM_TRIALS,
        objective=OBJECTIVE,
        enqueued=[{"initial_bias": -0.5, "num_neurons": 32, "nonlinearity": "gelu"}],
    )
    chance, trials, running = random.Random(seed), list[Trial](), list[int]()
    while len(trials) < NUM_ASKED:
        for found in search.proposals(trials, 3):
            running.append(len(trials))
            trials.append(
                Trial(
                    phase="search",
                    number=len(trials),
                    settings=found.settings,
                    varied=found.varied,
                    memory=found.memory,
                    seeds=(0,),
                    cohort_id="search-0",
                    state="running",
                )
            )
        while len(running) > 6:
            number = running.pop(chance.randrange(len(running)))
            trials[number] = ended(trials[number], "pruned" if chance.random() < 0.1 else None)
    return [trial.settings for trial in trials]


def ended(trial: Trial, state: str | None) -> Trial:
    bias, neurons = float(trial.settings["initial_bias"]), float(trial.settings["num_neurons"])
    result = Result(
        trial_id=trial.trial_id,
        attempt=1,
        state=state or "complete",  # type: ignore[arg-type]
        metrics={} if state else {"feature_coverage": -bias + neurons / 2048},
        loss_ratio=None if state else 1.0 - bias / 20,
        num_steps=1,
        train_s=0.0,
    )
    return replace(trial, state=result.state, result=result)


@pytest.mark.parametrize("seed", range(3))
def test_nsga2_proposes_the_same_as_among_all_trials(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = searched("nsga2", seed)
    monkeypatch.setattr(proposals, "NewestGenerations", InMemoryStorage)
    assert shown == searched("nsga2", seed)


def fresh_tpe(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(seed=seed, n_startup_trials=10, multivariate=True, group=True)


def fresh_nsga2(seed: int) -> BaseSampler:
    return NSGAIISampler(seed=seed, population_size=NUM_TRIALS // 8)


@pytest.mark.parametrize(("sampler", "fresh"), [("tpe", fresh_tpe), ("nsga2", fresh_nsga2)])
def test_what_samplers_hand_on_to_the_next_changes_no_proposal(
    sampler: str, fresh: Callable[[int], BaseSampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_on = searched(sampler, 5)
    made = {
        sampler: lambda space, seed, num: (
            lambda number, retry: fresh(samplers._seed(seed, number, retry))
        )
    }
    monkeypatch.setattr(proposals, "SAMPLERS", made)
    assert handed_on == searched(sampler, 5)


def test_trials_of_old_generations_are_listed_no_more_but_found() -> None:
    storage = NewestGenerations()
    study = optuna.create_study(storage=storage)
    ids = []
    for generation in (0, 0, 1, 2, 2, 3):
        template = create_trial(
            state=TrialState.RUNNING,
            system_attrs=generations.of_trial({"generation": generation}),
        )
        ids.append(storage.create_new_trial(study._study_id, template))
    memory = {"generation": 3, "parents": [1, 3]}
    generations.restore(storage, study._study_id, memory, ids)
    for trial_id in reversed(ids):
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    # Generations 2 and 3, and of the first a parent.
    assert [one.number for one in storage.get_all_trials(study._study_id)] == [1, 3, 4, 5]
    assert storage.get_trial(ids[0]).number == 0
