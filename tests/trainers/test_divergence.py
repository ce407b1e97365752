import pytest

from trainers import Member, Task, TrainingSettings, advance, begin, outcomes
from trainers.divergence import divergence_reason

TASK = Task(kind="feature_decoder", num_features=64, num_inputs=8, feature_density=1 / 16)


@pytest.mark.parametrize(
    ("mean", "first", "step", "found"),
    [
        (1.0, 1.0, 32, None),
        (20.0, 1.0, 32, None),  # ten times zero, not above
        (21.0, 1.0, 32, "that of answering zero (2)"),
        (99.0, 50.0, 1024, None),  # it started high
        (101.0, 50.0, 32, "that of answering zero (2)"),  # but went up
        (21.0, 50.0, 1056, "that of answering zero (2)"),  # after a cycle no more excuse
        (float("nan"), 1.0, 32, "not finite"),
        (float("inf"), float("inf"), 32, "not finite"),
        (501.0, float("nan"), 32, "that of answering zero (2)"),
    ],
)
def test_rule(mean, first, step, found):
    reason = divergence_reason(mean, first, 2.0, step)
    assert (reason is None) == (found is None)
    if found is not None:
        assert found in reason
        assert f"at step {step}" in reason


def train(num_steps=1024, **member):
    settings = TrainingSettings(num_steps=num_steps, batch_size=32)
    state = begin(TASK, settings, [Member(seed=0, num_neurons=64, **member)])
    return state, outcomes(advance(state, num_steps))[0]


def test_a_learning_rate_of_one_ends_soon_with_a_reason():
    state, outcome = train(learning_rate=1.0)
    assert outcome.diverged_at <= 128
    assert f"at step {outcome.diverged_at} is more than 10 times" in outcome.reason
    assert outcome.evaluation is None
    assert outcome.neurons is None
    assert outcome.curve.steps[-1] <= outcome.diverged_at
    assert state.finished
    assert state.step == outcome.diverged_at


def test_a_loss_that_is_not_finite_ends_at_the_first_chunk():
    _, outcome = train(learning_rate=0.01, initial_bias=1e30)
    assert outcome.diverged_at == 32
    assert outcome.reason == "loss is not finite at step 32"
    assert len(outcome.curve.steps) == 0


def test_a_network_that_blows_up_in_its_very_last_step_has_no_evaluation():
    # The only training loss is that of the start; the step itself overflows.
    _, outcome = train(num_steps=1, learning_rate=1e38)
    assert outcome.diverged_at == 1
    assert outcome.reason == "held-out loss is not finite at step 1"


@pytest.mark.parametrize("member", [{"initial_bias": 1.0}, {"initial_bias": -2.0}])
@pytest.mark.parametrize("learning_rate", [0.003, 0.03])
def test_a_poor_start_is_no_divergence(learning_rate, member):
    _, outcome = train(num_steps=640, learning_rate=learning_rate, **member)
    assert outcome.reason is None
