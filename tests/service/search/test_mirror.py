"""A mirror holds what Optuna itself would have made of the same trials."""

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from search_spaces import Choice, Float, Int, Space, Value
from service.search import generations
from service.search.mirror import Mirror
from service.search.newest_generations import NewestGenerations

SPACE = Space(
    {
        "initial_bias": Float(-1.0, 0.0),
        "num_neurons": Int(64, 128, step=32),
        "nonlinearity": Choice(("relu", "gelu")),
    }
)
# One without a parameter, as in a space with conditions.
POINTS: list[dict[str, Value]] = [
    {"initial_bias": -0.5, "num_neurons": 96, "nonlinearity": "gelu"},
    {"initial_bias": 0, "nonlinearity": "relu"},
]


def held_by(storage: InMemoryStorage, num_trials: int) -> list[FrozenTrial]:
    """By number: not every storage lists all that it holds."""
    (study,) = storage.get_all_studies()
    return [
        storage.get_trial(storage.get_trial_id_from_study_id_trial_number(study._study_id, number))
        for number in range(num_trials)
    ]


@pytest.mark.parametrize("make_storage", [InMemoryStorage, NewestGenerations])
def test_trials_are_what_optuna_makes_of_them_one_parameter_after_the_other(
    make_storage: type[InMemoryStorage],
) -> None:
    storage, optunas = make_storage(), InMemoryStorage()
    mirror = Mirror(SPACE, ["maximize"], storage)
    study_id = optuna.create_study(storage=optunas, direction="maximize")._study_id
    for point in POINTS:
        mirror.add(point, generations.FIRST)
        trial_id = optunas.create_new_trial(study_id)
        for name, value in point.items():
            distribution = mirror.distributions[name]
            internal = distribution.to_internal_repr(value)
            optunas.set_trial_param(trial_id, name, internal, distribution)
        for key, kept in generations.of_trial(generations.FIRST).items():
            optunas.set_trial_system_attr(trial_id, key, kept)
    mine, others = held_by(storage, len(POINTS)), held_by(optunas, len(POINTS))
    for trial in [*mine, *others]:
        assert trial.state is TrialState.RUNNING
        # The one thing in which they differ.
        trial.datetime_start = None
    assert mine == others
    assert {type(trial) for trial in mine} == {FrozenTrial}
    assert [type(trial.params["initial_bias"]) for trial in mine] == [float, float]


def test_a_trial_is_the_mirrors_own() -> None:
    storage = InMemoryStorage()
    mirror = Mirror(SPACE, ["maximize"], storage)
    point = dict(POINTS[0])
    mirror.add(point, {})
    point["initial_bias"] = -1.0
    assert held_by(storage, 1)[0].params["initial_bias"] == -0.5


def test_what_lies_in_no_space_is_refused() -> None:
    mirror = Mirror(SPACE, ["maximize"], InMemoryStorage())
    with pytest.raises(ValueError, match="solu"):
        mirror.add({**POINTS[0], "nonlinearity": "solu"}, {})
    assert len(mirror) == 0
