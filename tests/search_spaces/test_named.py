import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import NAMED_SPACES, Int, Space

QUICK = {
    "feature_density": 1 / 64,
    "num_steps": 8192,
    "learning_rate": 0.01,
    "num_neurons": 512,
}


def test_bias_and_width_by_hand():
    space = NAMED_SPACES["bias_and_width"].build(**QUICK)
    assert list(space) == ["initial_bias", "bias_decay", "num_neurons"]
    # -8 * sqrt(1/64) = -1, the paper's bias
    assert (space["initial_bias"].low, space["initial_bias"].high) == (-1.0, 0.0)
    # 0.001 and 0.03 times 2^17 / 2^13 = 16
    assert space["bias_decay"].low == pytest.approx(0.016)
    assert space["bias_decay"].high == pytest.approx(0.48)
    assert space["bias_decay"].log
    # total pull: decay * 0.01 * 4096
    pulls = [limit * 0.01 * 4096 for limit in (space["bias_decay"].low, space["bias_decay"].high)]
    assert pulls == pytest.approx([0.65536, 19.6608])
    assert space["num_neurons"] == Int(256, 1024, step=64)


def test_the_papers_own_run_has_the_papers_own_decays():
    paper = QUICK | {"num_steps": 2**17, "learning_rate": 0.003}
    decay = NAMED_SPACES["bias_and_width"].build(**paper)["bias_decay"]
    assert (decay.low, decay.high) == (0.001, 0.03)


def test_decay_is_capped_for_short_runs():
    # 64 steps: 0.03 * 2048 = 61.44, above 0.5 / 0.01 = 50; the low end 2.048 is not touched.
    decay = NAMED_SPACES["bias_and_width"].build(**(QUICK | {"num_steps": 64}))["bias_decay"]
    assert (decay.low, decay.high) == pytest.approx((2.048, 50.0))
    # one step at rate 1: even the low end, 131, is above the cap of 0.5
    shortest = QUICK | {"num_steps": 1, "learning_rate": 1.0}
    decay = NAMED_SPACES["bias_and_width"].build(**shortest)["bias_decay"]
    assert (decay.low, decay.high) == (0.5, 0.5)


def test_the_second_space_varies_the_rate_too():
    space = NAMED_SPACES["bias_width_and_rate"].build(**QUICK)
    assert list(space) == ["initial_bias", "bias_decay", "num_neurons", "learning_rate"]
    rate = space["learning_rate"]
    assert (rate.low, rate.high, rate.log) == pytest.approx((0.001, 0.05, True))


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (1, Int(1, 2)),
        (2, Int(1, 4)),
        (3, Int(1, 6, step=2)),
        (10, Int(5, 20)),
        (64, Int(32, 128, step=32)),
        (100, Int(50, 200, step=2)),
        (128, Int(64, 256, step=64)),
        (2048, Int(1024, 4096, step=64)),
    ],
)
def test_widths_of_every_size(width, expected):
    space = NAMED_SPACES["bias_and_width"].build(**(QUICK | {"num_neurons": width}))
    assert space["num_neurons"] == expected


@given(
    feature_density=st.floats(1e-6, 1),
    num_steps=st.integers(1, 2**20),
    learning_rate=st.floats(1e-6, 1),
    num_neurons=st.integers(1, 10_000),
    name=st.sampled_from(sorted(NAMED_SPACES)),
)
def test_named_spaces_hold_for_any_model(
    feature_density, num_steps, learning_rate, num_neurons, name
):
    space = NAMED_SPACES[name].build(
        feature_density=feature_density,
        num_steps=num_steps,
        learning_rate=learning_rate,
        num_neurons=num_neurons,
    )
    assert isinstance(space, Space)
    widths = space["num_neurons"]
    assert widths.contains(num_neurons)
    assert widths.low >= 1
    assert widths.high == 2 * num_neurons
    assert widths.contains(widths.high) or num_neurons % 2
    rates = [learning_rate]
    if "learning_rate" in space:
        assert space["learning_rate"].contains(learning_rate)
        rates = [space["learning_rate"].high]
    assert space["bias_decay"].high * max(rates) < 1
    assert space["initial_bias"].contains(0.0)


def test_each_named_space_says_what_it_is():
    for named in NAMED_SPACES.values():
        assert named.description
        assert "\n" not in named.description
