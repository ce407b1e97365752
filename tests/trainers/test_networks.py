"""Trained networks as values: what their cohort reported of them, and their bytes."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trainers import (
    Member,
    Network,
    Task,
    TrainingSettings,
    advance,
    begin,
    drop,
    networks_from_bytes,
    networks_to_bytes,
    outcomes,
    to_bytes,
    trained_networks,
)
from trainers.envelope import ForeignError, NewerError, OlderError, TruncatedError
from trainers.evaluation import held_out_loss, neurons
from trainers.names import NONLINEARITIES, TASK_KINDS
from trainers.networks import NETWORKS
from trainers.passes import passes_of
from trainers.replicates import begin_replicate
from trainers.sizes import HELD_OUT_BLOCK_SIZE
from trainers.tasks import TASKS

MEMBERS = (
    Member(seed=0, num_neurons=64, learning_rate=1e30),  # diverges
    Member(seed=3, num_neurons=37, learning_rate=0.01, initial_bias=-0.1),
    Member(seed=0, num_neurons=40, learning_rate=0.01),  # dropped
    Member(seed=0, num_neurons=100, learning_rate=0.02, nonlinearity="gelu"),
)


def finished(kind, members=MEMBERS, dropped=(2,)):
    task = Task(kind=kind, num_features=20, num_inputs=5, feature_density=0.1)
    state = begin(task, TrainingSettings(num_steps=70, batch_size=16), members)
    return advance(drop(advance(state, 40), dropped), 70)


@pytest.fixture(scope="module", params=TASK_KINDS)
def cohort(request):
    return finished(request.param)


def test_there_is_one_for_each_member_that_came_to_the_end(cohort):
    found = trained_networks(cohort)
    assert [network is None for network in found] == [True, False, True, False]
    num_outputs = {"random_reprojector": 5}.get(cohort.task.kind, 20)
    for slot, num_neurons in ((1, 37), (3, 100)):
        network = found[slot]
        assert (network.member, network.task) == (MEMBERS[slot], cohort.task)
        assert network.encoder.shape == (num_neurons, 5)
        assert network.bias.shape == (num_neurons,)
        assert network.decoder.shape == (num_neurons, num_outputs)
        assert network.projection.shape == (5, 20)


def test_its_loss_and_neurons_are_those_that_the_cohort_reported(cohort):
    for network, outcome in zip(trained_networks(cohort), outcomes(cohort), strict=True):
        if network is None:
            continue
        passes = passes_of(
            network.padded(), network.nonlinearity, HELD_OUT_BLOCK_SIZE, is_trained=False
        )
        held_out = begin_replicate(network.task, network.member.seed, torch.device("cpu")).held_out
        assert held_out_loss(passes, held_out) == outcome.evaluation.loss
        found = neurons(
            network.padded(),
            network.member.num_neurons,
            torch.from_numpy(network.projection),
            network.nonlinearity,
            TASKS[network.task.kind].signs,
        )
        for name in ("bias", "concentration", "feature", "strength", "kind"):
            np.testing.assert_array_equal(getattr(found, name), getattr(outcome.neurons, name))


def test_it_does_not_change_when_the_cohort_does():
    state = finished("feature_decoder", MEMBERS[1:2], ())
    (network,) = trained_networks(state)
    before = network.encoder.copy()
    state.tiles[0].weights.flat.zero_()
    np.testing.assert_array_equal(network.encoder, before)


def test_a_cohort_that_is_still_in_training_has_none_yet():
    task = Task(kind="feature_decoder", num_features=8, num_inputs=2, feature_density=0.1)
    state = begin(task, TrainingSettings(num_steps=9, batch_size=4), MEMBERS[1:2])
    with pytest.raises(ValueError, match="must be finished, found it at step 3 of 9"):
        trained_networks(advance(state, 3))


finite = st.floats(-(2.0**99), 2.0**99, width=32)


@st.composite
def any_network(draw):
    kind = draw(st.sampled_from(TASK_KINDS))
    k, m = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    n = draw(st.integers(m, 6))
    task = Task(
        kind=kind,
        num_features=n,
        num_inputs=m,
        feature_density=draw(st.floats(0.01, 1)),
        feature_distribution=draw(st.sampled_from(["uniform", "power_law"])),
    )
    member = Member(
        seed=draw(st.integers(0, 2**64 - 1)),
        num_neurons=k,
        nonlinearity=draw(st.sampled_from(NONLINEARITIES)),
        learning_rate=draw(st.floats(0, 1)),
        initial_bias=draw(st.floats(-2, 2)),
    )
    outputs = m if kind == "random_reprojector" else n
    shapes = {"encoder": (k, m), "bias": (k,), "decoder": (k, outputs)}
    weights = {
        name: draw(arrays(np.float32, shape, elements=finite)) for name, shape in shapes.items()
    }
    return Network(member, task, **weights)


@settings(max_examples=50, deadline=None)
@given(st.lists(any_network(), max_size=3))
def test_what_is_read_is_what_was_written(written):
    read = networks_from_bytes(networks_to_bytes(written))
    assert len(read) == len(written)
    for one, other in zip(read, written, strict=True):
        assert (one.member, one.task) == (other.member, other.task)
        for name in ("encoder", "bias", "decoder"):
            found, expected = getattr(one, name), getattr(other, name)
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, expected)


def test_a_view_of_strided_weights_is_written_as_it_reads():
    network = trained_networks(finished("feature_decoder", MEMBERS[1:2], ()))[0]
    strided = Network(
        network.member,
        network.task,
        network.encoder.copy(order="F"),
        *(array.copy(order="F") for array in (network.bias, network.decoder)),
    )
    assert networks_to_bytes([strided]) == networks_to_bytes([network])


@pytest.fixture(scope="module")
def whole():
    found = trained_networks(finished("feature_decoder"))
    return networks_to_bytes([network for network in found if network is not None])


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused(whole, share):
    with pytest.raises(TruncatedError, match="A file of networks must be whole"):
        networks_from_bytes(whole[: int(share * len(whole))])


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_a_damaged_file_is_refused(whole, share, change):
    header = 8 + int.from_bytes(whole[:8], "little")
    damaged = bytearray(whole)
    damaged[header + int(share * (len(whole) - header))] ^= change
    with pytest.raises(TruncatedError, match="checksum"):
        networks_from_bytes(bytes(damaged))


def test_a_checkpoint_is_no_file_of_networks():
    with pytest.raises(ForeignError, match="must be a safetensors file of trained networks"):
        networks_from_bytes(to_bytes(finished("feature_decoder", MEMBERS[1:2], ())))


@pytest.mark.parametrize(
    ("version", "refusal", "words"),
    [(2, NewerError, "at most 1, found 2"), (0, OlderError, "must be 1, found 0")],
)
def test_another_version_is_refused(whole, version, refusal, words):
    end = 8 + int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8:end])
    entry = json.loads(header["__metadata__"][NETWORKS.entry])
    header["__metadata__"][NETWORKS.entry] = json.dumps(entry | {"format_version": version})
    text = json.dumps(header).encode()
    with pytest.raises(refusal, match=words):
        networks_from_bytes(len(text).to_bytes(8, "little") + text + whole[end:])
