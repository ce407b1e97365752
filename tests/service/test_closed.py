from collections.abc import Callable

import pytest

from service.closed import Closed, limits_of
from service.spec import Spec


@pytest.mark.parametrize(
    ("budget", "limit", "words"),
    [
        ("max_training_steps", 1_000_000, "1000000 training steps were done."),
        ("max_hours", 2.0, "2 hours at work were over."),
        ("max_hours", 1.0, "1 hour at work was over."),
        ("max_hours", 0.25, "0.25 hours at work were over."),
        ("patience", 20, "20 in a row brought nothing better that is feasible."),
    ],
)
def test_it_is_said_after_how_many_trials_and_why(budget: str, limit: float, words: str) -> None:
    closed = Closed(budget=budget, limit=limit, num_asked=37, num_trials=64)
    assert closed.sentence == f"The search ended after 37 of 64 trials: {words}"
    assert Closed(**closed.as_json()) == closed


def test_limits_are_those_that_the_file_gives(make_spec: Callable[..., Spec]) -> None:
    assert limits_of(make_spec()) == {}
    given = make_spec(("{num_trials: 4}", "{num_trials: 4, max_hours: 0.5, patience: 3}"))
    assert limits_of(given) == {"max_hours": 0.5, "patience": 3}
