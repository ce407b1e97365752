from collections.abc import Callable
from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from service import known_results
from service.phases import ConfirmationPhase
from service.spec import Spec
from service.trials import Trial

MakeTrial = Callable[..., Trial]


def test_points_are_the_same_by_settings_and_seeds(make_trial: MakeTrial) -> None:
    one = make_trial("search", 0, seeds=(0, 1), loss=1.0)
    turned = dict(reversed(one.settings.items()))
    assert known_results.of_trials([one]) == {known_results.key(turned, [0, 1]): "search/0"}
    assert known_results.key(one.settings, (0,)) not in known_results.of_trials([one])


def test_only_what_was_trained_to_the_end_is_known(make_trial: MakeTrial) -> None:
    ended = [make_trial("search", n, state=s) for n, s in enumerate(("failed", "pruned"))]
    complete = make_trial("search", 2, loss=1.0)
    again = replace(make_trial("search", 3, loss=1.0), same_as="search/2")
    waiting = make_trial("search", 4, state="waiting")
    known = known_results.of_trials([*ended, complete, again, waiting])
    assert list(known.values()) == ["search/2"]


@given(
    points=st.lists(st.sampled_from([-0.5, -0.25, 0.0]), max_size=8),
    order=st.randoms(use_true_random=False),
)
def test_points_that_end_in_any_order_are_known_as_if_all_were_looked_at(
    make_trial: MakeTrial, points: list[float], order: Random
) -> None:
    """The first trial at each point, by number, whichever of them ended first."""
    trials = [
        make_trial("search", number, settings={"initial_bias": bias}, state="waiting")
        for number, bias in enumerate(points)
    ]
    trained = known_results.Trained()
    for number in order.sample(range(len(points)), len(points)):
        trials[number] = make_trial("search", number, settings=trials[number].settings, loss=1.0)
        trained.look(trials)
    firsts = {bias: f"search/{points.index(bias)}" for bias in points}
    assert {dict(point[1])["initial_bias"]: one for point, one in trained.known.items()} == firsts


def test_a_result_that_is_taken_over_is_the_trials_own(make_trial: MakeTrial) -> None:
    known = make_trial("search", 2, loss=1.0, loss_ratio=0.9).result
    assert known is not None
    taken = known_results.taken_over(
        replace(make_trial("search", 5), same_as="search/2"), attempt=3, known=known
    )
    assert (taken.trial_id, taken.attempt) == ("search/5", 3)
    assert taken.reason == "the same point as search/2, whose result it has"
    assert (taken.metrics, taken.loss_ratio, taken.num_steps) == ({"loss": 1.0}, 0.9, 256)


def test_a_setting_that_was_proposed_twice_is_one_finalist(
    make_trial: MakeTrial, make_spec: Callable[..., Spec]
) -> None:
    spec = make_spec(("finalists: 1", "finalists: 2"))
    biases = {0: -0.25, 1: -0.5, 2: -0.5}
    trials = [
        make_trial(
            "search",
            number,
            settings={"initial_bias": bias},
            loss_ratio=1.0,
            monosemantic_per_feature=-bias,
        )
        for number, bias in biases.items()
    ]
    baseline = {**trials[0].settings, "initial_bias": 0.0}
    phase = ConfirmationPhase(spec, baseline, trials)
    assert [one.role for one in phase.candidates] == ["baseline", "search/1", "search/0"]
