"""A cohort goes on from its bytes exactly as if it had never stopped."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from trainers import METRICS, Member, Task, TrainingSettings, advance, begin, drop, outcomes
from trainers.checkpoint import CHECKPOINT, from_bytes, to_bytes, versions
from trainers.envelope import EnvelopeError, ForeignError, NewerError, OlderError, TruncatedError
from trainers.names import OPTIMIZERS, TASK_KINDS
from trainers.passes.choice import is_sparse

NUM_STEPS = 70  # two whole chunks of 32 and a part
MEMBERS = (
    Member(seed=0, num_neurons=64, learning_rate=0.01, initial_bias=-0.3, bias_decay=1.0),
    Member(seed=1, num_neurons=37, learning_rate=0.01, nonlinearity="gelu", l1=0.1),
    Member(seed=0, num_neurons=64, learning_rate=1e30),  # diverges
)


def cohort(optimizer="lamb", kind="feature_decoder", precision="float32"):
    task = Task(kind=kind, num_features=20, num_inputs=5, feature_density=0.1)
    shared = TrainingSettings(
        num_steps=NUM_STEPS, batch_size=16, optimizer=optimizer, precision=precision
    )
    return begin(task, shared, MEMBERS)


def through_bytes(state):
    return from_bytes(to_bytes(state))


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        for metric in ("steps", *METRICS):
            np.testing.assert_array_equal(getattr(one.curve, metric), getattr(other.curve, metric))
        assert one.evaluation == other.evaluation
        assert (one.diverged_at, one.reason) == (other.diverged_at, other.reason)
        assert (one.neurons is None) == (other.neurons is None)
        if one.neurons is not None:
            for name in ("bias", "concentration", "feature", "strength", "kind"):
                expected_array = getattr(other.neurons, name)
                np.testing.assert_array_equal(getattr(one.neurons, name), expected_array)


CASES = [
    *((optimizer, "feature_decoder", "float32") for optimizer in OPTIMIZERS),
    *(("lamb", kind, "bfloat16") for kind in TASK_KINDS),
]


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def uninterrupted(request):
    state = advance(cohort(*request.param), NUM_STEPS)
    return request.param, outcomes(state)


def test_the_cohort_has_a_member_that_diverges(uninterrupted):
    _, expected = uninterrupted
    assert [one.reason is None for one in expected[:2]] == [True, True]
    assert expected[2].reason is not None


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(0, NUM_STEPS), min_size=1, max_size=3))
def test_resumed_from_any_step_equals_uninterrupted(uninterrupted, pieces):
    case, expected = uninterrupted
    state = through_bytes(cohort(*case))
    for piece in pieces:
        state = through_bytes(advance(state, piece))
    assert_same(outcomes(through_bytes(advance(state, NUM_STEPS))), expected)


@pytest.mark.parametrize("stop", [1, 7, 19])
def test_passes_through_active_neurons_go_on_as_if_they_had_never_stopped(stop):
    task = Task(kind="feature_decoder", num_features=64, num_inputs=16, feature_density=0.1)
    members = [Member(seed=0, num_neurons=width, learning_rate=0.01) for width in (512, 530)]
    shared = TrainingSettings(num_steps=20, batch_size=16)
    whole, cut = begin(task, shared, members), begin(task, shared, members)
    for tile in whole.tiles:
        assert is_sparse(tile.weights, tile.nonlinearity)
    expected = outcomes(advance(whole, 20))
    state = through_bytes(advance(cut, stop))
    assert_same(outcomes(advance(state, 20 - stop)), expected)


def test_who_was_dropped_stays_so():
    state = through_bytes(drop(advance(cohort(), 40), [1]))
    assert state.live == (0,)
    assert set(state.replicates) == {0}
    dropped = outcomes(through_bytes(advance(state, NUM_STEPS)))
    assert [one.dropped_at for one in dropped] == [None, 40, None]
    assert_same(dropped[:1], outcomes(advance(cohort(), NUM_STEPS))[:1])


def test_bytes_of_what_was_read_are_the_same_bytes():
    data = to_bytes(advance(cohort(), 40))
    assert to_bytes(from_bytes(data)) == data
    assert versions(data) == {"torch": torch.__version__, "numpy": np.__version__}


@pytest.fixture(scope="module")
def whole():
    return to_bytes(advance(cohort(), 3))


@settings(max_examples=60, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_checkpoint_is_refused(whole, share):
    with pytest.raises(TruncatedError, match="must be whole"):
        from_bytes(whole[: int(share * len(whole))])


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_a_damaged_checkpoint_is_refused(whole, share, change):
    header = 8 + int.from_bytes(whole[:8], "little")
    damaged = bytearray(whole)
    damaged[header + int(share * (len(whole) - header))] ^= change
    with pytest.raises(TruncatedError, match="checksum"):
        from_bytes(bytes(damaged))


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04 a zip file of something else",
        b"a" * 100,
        save({"x": torch.zeros(3)}),
        save({"x": torch.zeros(3)}, {"format": "pt"}),
        (2).to_bytes(8, "little") + b"[]",
    ],
)
def test_a_foreign_file_is_refused(data):
    with pytest.raises(ForeignError, match="must be"):
        from_bytes(data)


def of_version(version):
    data = to_bytes(cohort())
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    entry = json.loads(header["__metadata__"][CHECKPOINT.entry])
    entry["format_version"] = version
    header["__metadata__"][CHECKPOINT.entry] = json.dumps(entry)
    header = json.dumps(header).encode()
    return len(header).to_bytes(8, "little") + header + data[end:]


def test_an_older_checkpoint_is_refused():
    with pytest.raises(OlderError, match="must be 3, found 2"):
        from_bytes(of_version(CHECKPOINT.format_version - 1))


def test_a_newer_checkpoint_is_refused():
    newer = of_version(CHECKPOINT.format_version + 1)
    with pytest.raises(NewerError, match="at most 3, found 4"):
        from_bytes(newer)
    assert issubclass(NewerError, EnvelopeError)
