import pytest

from search_spaces.paper import BATCHES
from service.errors import UserError
from service.paper.scaling import Scaling, scaled

SMALL = Scaling(scale=2, num_steps=8192, batch_size=256)


def batch_of(name, **asked):
    return scaled(BATCHES[name], Scaling(**asked)).batch


def test_sizes_are_divided_together():
    batch = batch_of("LR5", scale=4)
    assert (batch.num_features, batch.num_inputs, batch.num_neurons) == (128, 16, 512)
    assert batch_of("K0", scale=16).num_neurons == (1, 2, 4, 8, 16, 32, 64, 128)


def test_the_rest_stays_the_papers():
    batch, own = batch_of("E1", scale=4), BATCHES["E1"]
    assert batch.feature_density == own.feature_density
    assert (batch.learning_rate, batch.initial_bias) == (0.003, -1.0)


@pytest.mark.parametrize("name", BATCHES)
def test_at_full_size_a_batch_is_the_papers_own(name):
    assert batch_of(name) == BATCHES[name]


@pytest.mark.parametrize(
    ("name", "num_steps", "expected"),
    [
        ("LR3", 2**13, 0.48),  # 0.03 * 16
        ("LR3", 2**18, 0.015),  # twice as long: half of it
        ("B2", 2**13, 0.048),
        ("LR1", 2**13, 0.0),
        # 0.03 * 2048 = 61.44, beyond 0.5 / 0.03, the largest rate of the batch
        ("LR3", 64, 0.5 / 0.03),
        # at its rate of 0.003 the same is below 0.5 / 0.003 = 166.7
        ("B1", 64, 61.44),
    ],
)
def test_the_bias_decay_pulls_as_much_in_all_unless_it_is_capped(name, num_steps, expected):
    assert batch_of(name, num_steps=num_steps).bias_decay == pytest.approx(expected)


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("num_steps", [2, 64, 8192, 2**17])
def test_no_step_turns_a_bias_round(name, num_steps):
    batch = batch_of(name, num_steps=num_steps)
    assert max(batch.values("bias_decay")) * max(batch.values("learning_rate")) < 1


def test_capped_values_of_a_grid_that_are_the_same_are_one():
    # times 8192, the cap being 0.5 / 0.007 = 71.43: 0.01 and 0.1 come to it
    found = batch_of("D1", num_steps=16).bias_decay
    expected = (0.0008192, 0.008192, 0.08192, 0.8192, 8.192, 71.428571)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "asked", "message"),
    [
        ("LR1", {"scale": 3}, r"--scale must divide 512 features, 64 inputs and 1024 neurons .*"
         r"found 3 \(LR1\)\. Take one of 1, 2, 4, 8, 16, 32\."),
        ("LR1", {"scale": 64}, "leave at least 2 inputs, found 64"),  # one input
        ("LR1", {"scale": 0}, "found 0"),
        ("LR1", {"scale": -2}, "found -2"),
        # half a neuron
        ("K1", {"scale": 32},
         r"16 to 2048 neurons .*found 32 \(K1\)\. Take one of 1, 2, 4, 8, 16\."),
        ("LR1", {"num_steps": 1}, "--steps must be from 2 to 16777216, found 1. Raise it."),
        ("LR1", {"num_steps": 2**25}, "--steps must be .* Lower it."),
        ("LR1", {"batch_size": 0}, "--batch-size must be from 1 to 1048576, found 0"),
        ("LR1", {"num_seeds": 0}, "--seeds must be from 1 to 1024, found 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(name, asked, message):
    with pytest.raises(UserError, match=message):
        batch_of(name, **asked)


def test_options_are_those_that_are_not_usual():
    assert Scaling().options(Scaling()) == ()
    assert SMALL.options(SMALL) == ()
    assert SMALL.options(Scaling()) == (("--scale", 2), ("--steps", 8192), ("--batch-size", 256))
    assert Scaling(num_seeds=3).options(Scaling()) == (("--seeds", 3),)
    # The paper's own must be asked for where something else is usual.
    papers = (("--scale", 1), ("--steps", 131072), ("--batch-size", 8192))
    assert Scaling().options(SMALL) == papers
