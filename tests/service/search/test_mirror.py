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


# NSGA-II's own are for spaces in which every parameter is always there.
@pytest.mark.parametrize(
    ("make_storage", "points"), [(InMemoryStorage, POINTS), (NewestGenerations, POINTS[:1])]
)
def test_trials_are_what_optuna_makes_of_them_one_parameter_after_the_other(
    make_storage: type[InMemoryStorage], points: list[dict[str, Value]]
) -> None:
    storage, optunas = make_storage(), InMemoryStorage()
    mirror = Mirror(SPACE, ["maximize"], storage)
    study_id = optuna.create_study(storage=optunas, direction="maximize")._study_id
    for point in points:
        mirror.add(point, generations.FIRST)
        trial_id = optunas.create_new_trial(study_id)
        for name, value in point.items():
            distribution = mirror.distributions[name]
            internal = distribution.to_internal_repr(value)
            optunas.set_trial_param(trial_id, name, internal, distribution)
        for key, kept in generations.of_trial(generations.FIRST).items():
            optunas.set_trial_system_attr(trial_id, key, kept)
    mine, others = held_by(storage, len(points)), held_by(optunas, len(points))
    for trial in [*mine, *others]:
        assert trial.state is TrialState.RUNNING
        # The one thing in which they differ.
        trial.datetime_start = None
    assert mine == others
    assert {type(trial) for trial in mine} == {FrozenTrial}
    assert [type(trial.params["initial_bias"]) for trial in mine] == [float] * len(points)


def test_what_is_written_to_one_trial_is_on_no_other() -> None:
    storage = InMemoryStorage()
    mirror = Mirror(SPACE, ["maximize"], storage)
    for _ in range(2):
        mirror.add(POINTS[1], generations.FIRST)
    distributions = dict(mirror.distributions)
    first, second = held_by(storage, 2)
    other = optuna.distributions.FloatDistribution(0.0, 1.0)
    storage.set_trial_param(first._trial_id, "num_inputs", 0.5, other)
    storage.set_trial_user_attr(first._trial_id, "key", 1)
    storage.set_trial_system_attr(first._trial_id, "key", 1)
    storage.set_trial_intermediate_value(first._trial_id, 1, 0.5)
    mirror.add(POINTS[1], generations.FIRST)
    third = held_by(storage, 3)[2]
    for trial in (second, third):
        assert trial.params == POINTS[1]
        assert list(trial.distributions) == list(POINTS[1])
        assert trial.system_attrs == generations.of_trial(generations.FIRST)
        assert trial.user_attrs == trial.intermediate_values == {}
    assert mirror.distributions == distributions


def test_an_option_that_is_none_leaves_nothing_behind() -> None:
    storage = InMemoryStorage()
    mirror = Mirror(SPACE, ["maximize"], storage)
    with pytest.raises(ValueError, match="solu"):
        mirror.add({**POINTS[0], "nonlinearity": "solu"}, {})
    (study,) = storage.get_all_studies()
    assert storage.get_all_trials(study._study_id) == []
