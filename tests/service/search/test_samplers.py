from collections.abc import Callable

import pytest

from service.search import resolve_sampler
from service.search.samplers import SAMPLERS
from service.spec import Spec

MakeSpec = Callable[..., Spec]
SEARCH = "search: {num_trials: 4}"
# Seconds of a trial beside which an ask of a Gaussian process is long, or short.
QUICK_S, SLOW_S = 1.0, 10.0
LAPTOP = 2


@pytest.mark.parametrize("sampler", sorted(set(SAMPLERS) - {"grid"}))
def test_a_name_is_itself(make_spec: MakeSpec, sampler: str) -> None:
    spec = make_spec((SEARCH, f"search: {{num_trials: 4, sampler: {sampler}}}"))
    assert resolve_sampler(spec, QUICK_S, LAPTOP) == sampler


@pytest.mark.parametrize(
    ("num_trials", "num_objectives", "sampler"),
    [
        (4, 1, "tpe"),
        (5000, 1, "tpe"),
        (5001, 1, "nsga2"),
        (1000, 2, "tpe"),
        (1001, 2, "nsga2"),
    ],
)
def test_auto_asks_quickly(
    make_spec: MakeSpec, num_trials: int, num_objectives: int, sampler: str
) -> None:
    several = "{maximize: monosemantic_per_feature, minimize: num_neurons"
    spec = make_spec(
        (SEARCH, f"search: {{num_trials: {num_trials}}}"),
        *[("{maximize: monosemantic_per_feature", several)][: num_objectives - 1],
    )
    assert resolve_sampler(spec, QUICK_S, LAPTOP) == sampler


def test_auto_never_takes_a_sampler_that_ignores_stopped_trials(make_spec: MakeSpec) -> None:
    many = (SEARCH, "search: {num_trials: 100000}\nearly_stopping: {first_step: 64}")
    assert resolve_sampler(make_spec(many), QUICK_S, LAPTOP) == "tpe"


def test_auto_never_takes_a_sampler_that_draws_conditional_parameters_at_random(
    make_spec: MakeSpec,
) -> None:
    space = (
        "{nonlinearity: {choice: [relu, gelu]}, l1: {float: [0, 1], when: {nonlinearity: gelu}}}"
    )
    spec = make_spec(
        (SEARCH, "search: {num_trials: 100000}"),
        ("search_space: bias_and_width", f"search_space: {space}"),
    )
    assert resolve_sampler(spec, QUICK_S, LAPTOP) == "tpe"


@pytest.mark.parametrize(
    ("num_trials", "trial_s", "at_a_time", "sampler"),
    [
        (4, SLOW_S, LAPTOP, "gp"),
        (200, SLOW_S, LAPTOP, "gp"),
        (201, SLOW_S, LAPTOP, "tpe"),
        (200, QUICK_S, LAPTOP, "tpe"),
        # An ask takes half a second: four workers are served in a fifth of ten seconds.
        (200, SLOW_S, 4, "gp"),
        (200, SLOW_S, 5, "tpe"),
    ],
)
def test_auto_takes_a_gaussian_process_where_its_asks_are_little_beside_the_trials(
    make_spec: MakeSpec, num_trials: int, trial_s: float, at_a_time: int, sampler: str
) -> None:
    spec = make_spec((SEARCH, f"search: {{num_trials: {num_trials}}}"))
    assert resolve_sampler(spec, trial_s, at_a_time) == sampler


def test_auto_leaves_several_objectives_and_conditions_to_others(make_spec: MakeSpec) -> None:
    several = ("maximize: monosemantic_per_feature", "minimize: [loss, num_neurons]")
    assert resolve_sampler(make_spec(several), SLOW_S, LAPTOP) == "tpe"
    space = (
        "{nonlinearity: {choice: [relu, gelu]}, l1: {float: [0, 1], when: {nonlinearity: gelu}}}"
    )
    conditional = make_spec(("search_space: bias_and_width", f"search_space: {space}"))
    assert resolve_sampler(conditional, SLOW_S, LAPTOP) == "tpe"
