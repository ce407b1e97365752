"""A member's numbers do not depend on its neighbours, its slot, or interruptions: bit for bit."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers import METRICS, Member, Task, TrainingSettings, advance, begin, drop, outcomes
from trainers.names import PRECISIONS

TASK = Task(kind="feature_decoder", num_features=20, num_inputs=5, feature_density=0.1)
NUM_STEPS = 75  # two whole chunks of 32 and a part

MEMBERS = (
    Member(seed=0, num_neurons=64, learning_rate=0.01),
    Member(seed=0, num_neurons=64, learning_rate=0.03, initial_bias=-0.3, bias_decay=1.0),
    Member(seed=0, num_neurons=37, learning_rate=0.01, l1=0.1),
    Member(seed=1, num_neurons=100, learning_rate=0.02),
    Member(seed=1, num_neurons=64, learning_rate=0.02, nonlinearity="gelu"),
    Member(seed=0, num_neurons=1, learning_rate=0.02, nonlinearity="solu"),
    Member(seed=0, num_neurons=64, learning_rate=20.0),  # diverges
)

# Large enough to be passed through by active neurons alone.
LARGE_TASK = replace(TASK, num_features=64, num_inputs=16)
LARGE_MEMBERS = tuple(
    replace(one, num_neurons=one.num_neurons + 512) if one.num_neurons > 1 else one
    for one in MEMBERS
)


@dataclass(frozen=True)
class Cohort:
    """What is trained.

    Attributes:
        members: The networks.
        precision: Of the products.
        task: Theirs.
    """

    members: tuple[Member, ...]
    precision: str
    task: Task = TASK

    def begin(self, members=None):
        shared = TrainingSettings(num_steps=NUM_STEPS, batch_size=16, precision=self.precision)
        return begin(self.task, shared, self.members if members is None else members)


COHORTS = {precision: Cohort(MEMBERS, precision) for precision in PRECISIONS}
COHORTS["active neurons"] = Cohort(LARGE_MEMBERS, "float32", LARGE_TASK)


def train(cohort, slots=None, pieces=(NUM_STEPS,)):
    members = cohort.members if slots is None else [cohort.members[slot] for slot in slots]
    state = cohort.begin(members)
    for piece in pieces:
        advance(state, piece)
    return outcomes(state)


@pytest.fixture(scope="module", params=COHORTS)
def alone(request):
    """A cohort, and each member's outcome when trained alone."""
    cohort = COHORTS[request.param]
    return cohort, [train(cohort, [slot])[0] for slot in range(len(MEMBERS))]


def assert_same(found, expected):
    np.testing.assert_array_equal(found.curve.steps, expected.curve.steps)
    for metric in METRICS:
        np.testing.assert_array_equal(getattr(found.curve, metric), getattr(expected.curve, metric))
    assert found.evaluation == expected.evaluation
    assert (found.diverged_at, found.reason) == (expected.diverged_at, expected.reason)
    if expected.neurons is not None:
        for name in ("bias", "concentration", "feature", "strength", "kind"):
            expected_array = getattr(expected.neurons, name)
            np.testing.assert_array_equal(getattr(found.neurons, name), expected_array)


def test_one_member_diverges_and_the_others_do_not(alone):
    _, expected = alone
    assert [one.diverged_at is None for one in expected] == [True] * 6 + [False]


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, len(MEMBERS) - 1), min_size=1, max_size=8))
def test_alone_equals_in_company(alone, slots):
    cohort, expected = alone
    found = train(cohort, slots)
    for slot, outcome in zip(slots, found, strict=True):
        assert_same(outcome, expected[slot])


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=8))
def test_interrupted_equals_uninterrupted(alone, pieces):
    cohort, expected = alone
    found = train(cohort, pieces=[*pieces, NUM_STEPS])
    for outcome, reference in zip(found, expected, strict=True):
        assert_same(outcome, reference)


def test_sevens_equal_one_advance(alone):
    cohort, expected = alone
    for outcome, reference in zip(train(cohort, pieces=[7] * 11), expected, strict=True):
        assert_same(outcome, reference)


@settings(max_examples=10, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, NUM_STEPS), st.sets(st.integers(0, len(MEMBERS) - 1))),
        max_size=3,
    )
)
def test_dropped_members_leave_the_others_as_they_were(alone, drops):
    """Any set of members, at any steps: the rest end as when each was trained alone."""
    cohort, expected = alone
    state = cohort.begin()
    dropped_at = {}
    for steps, wanted in drops:
        advance(state, steps)
        chosen = wanted & set(state.live)
        dropped_at |= dict.fromkeys(chosen, state.step)
        drop(state, chosen)
        assert not chosen & set(state.live)
    for slot, outcome in enumerate(outcomes(advance(state, NUM_STEPS))):
        assert outcome.dropped_at == dropped_at.get(slot)
        if slot not in dropped_at:
            assert_same(outcome, expected[slot])
            continue
        assert (outcome.evaluation, outcome.neurons, outcome.reason) == (None, None, None)
        # What it was until then.
        known = len(outcome.curve.steps)
        assert all(outcome.curve.steps <= dropped_at[slot])
        np.testing.assert_array_equal(outcome.curve.loss, expected[slot].curve.loss[:known])


def test_only_who_is_in_training_can_be_dropped():
    shared = TrainingSettings(num_steps=NUM_STEPS, batch_size=16)
    state = begin(TASK, shared, MEMBERS[:3])
    drop(state, [1])
    with pytest.raises(ValueError, match=r"found \[1, 3\]; those in training are \[0, 2\]"):
        drop(state, [1, 3])
    assert state.live == (0, 2)
    assert drop(state, [0, 2]).finished


def test_who_is_at_the_end_cannot_be_dropped():
    shared = TrainingSettings(num_steps=NUM_STEPS, batch_size=16)
    state = advance(begin(TASK, shared, MEMBERS[:1]), NUM_STEPS)
    with pytest.raises(ValueError, match=r"found \[0\]; those in training are \[\]"):
        drop(state, [0])
    assert outcomes(state)[0].evaluation is not None


def test_wide_tiles_train_the_same_networks(alone, monkeypatch):
    # Tiles of one are the CPU's; wider ones are for other devices and may differ in the last bits.
    cohort, expected = alone
    monkeypatch.setattr("trainers.tiles.tile_size", lambda _: 3)
    # The one that diverges comes first in its tile, so that the others change their rows.
    found = train(cohort, range(len(MEMBERS))[::-1])[::-1]
    for outcome, reference in zip(found, expected, strict=True):
        assert outcome.diverged_at == reference.diverged_at
        np.testing.assert_allclose(outcome.curve.loss, reference.curve.loss, rtol=0.01)
