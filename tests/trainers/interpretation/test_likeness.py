"""Blocks whose likeness to an identity is known by arithmetic."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers import Member, Network, Task
from trainers.interpretation import block_of
from trainers.interpretation.likeness import CHANCE_DRAWS, TARGET_MAPS, best_cosine
from trainers.names import TASK_KINDS
from trainers.tasks import projections

N = 64


@pytest.fixture(scope="module")
def block(by_hand, rows):
    """A function from what neurons answer to and say to the block of all of them."""

    def build(answers, says):
        network = by_hand(rows(answers, 1.0, says))
        return block_of(network, np.arange(len(answers)))

    return build


def test_every_task_has_a_target_map_or_none():
    assert set(TARGET_MAPS) == set(TASK_KINDS)


def test_a_planted_identity_of_rank_four(block, directions):
    # 0.5 V V': four singular values of 0.5, V V' itself a projection.
    v = directions(4, N)
    found = block(v, 0.5 * v)
    np.testing.assert_allclose(found.map, 0.5 * v.T @ v, atol=1e-5)
    np.testing.assert_allclose(found.spectrum.singular_values[:4], 0.5, atol=1e-5)
    np.testing.assert_allclose(found.spectrum.singular_values[4:], 0, atol=1e-5)
    assert found.spectrum.effective_rank == pytest.approx(4, abs=1e-4)
    assert (found.largest_rank, found.likeness.rank) == (4, 4)
    assert found.likeness.value == pytest.approx(1, abs=1e-5)
    assert found.likeness.best == pytest.approx(1, abs=1e-5)
    assert found.likeness.share == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(found.likeness.given_back, 0.5 * (v**2).sum(axis=0), atol=1e-5)


def test_neurons_that_share_a_direction_are_a_block_of_rank_one(block, directions):
    v = np.repeat(directions(1, N), 5, axis=0)
    found = block(v, 0.2 * v)
    assert found.spectrum.effective_rank == pytest.approx(1, abs=1e-5)
    assert found.spectrum.singular_values[0] == pytest.approx(1, abs=1e-5)
    like = found.likeness
    assert like.value == pytest.approx(1, abs=1e-5)
    # The symmetric part of u v' has the largest eigenvalue (1 + u . v) / 2, and u . v has mean 0
    # and variance 1 / N: five standard errors.
    assert abs(like.by_chance.mean() - 0.5) < 5 * 0.5 / math.sqrt(N * CHANCE_DRAWS)
    assert like.by_chance.std() == pytest.approx(0.5 / math.sqrt(N), rel=0.5)


def test_planted_singular_values(block, directions):
    v = directions(4, N)
    found = block(v, np.array([[4.0], [3.0], [2.0], [1.0]]) * v)
    np.testing.assert_allclose(found.spectrum.kept, [4, 3, 2, 1], atol=1e-4)
    # (16 + 9 + 4 + 1)**2 / (256 + 81 + 16 + 1)
    assert found.spectrum.effective_rank == pytest.approx(900 / 354, abs=1e-4)
    assert found.likeness.rank == 3
    # (4 + 3 + 2) / (sqrt(3) * sqrt(30)), which is also all that such singular values allow.
    assert found.likeness.value == pytest.approx(9 / math.sqrt(90), abs=1e-5)
    assert found.likeness.best == pytest.approx(9 / math.sqrt(90), abs=1e-5)


def test_a_map_to_directions_it_does_not_listen_to_is_half_like_an_identity(block, directions):
    # The symmetric part of U V' with U orthogonal to V has r eigenvalues of 1/2: r / 2 / r.
    both = directions(8, N)
    found = block(both[:4], both[4:])
    assert found.likeness.value == pytest.approx(0.5, abs=1e-5)
    assert abs(found.likeness.share) < 0.1


def test_a_negative_identity_is_like_none(block, directions):
    v = directions(4, N)
    assert block(v, -v).likeness.value == pytest.approx(0, abs=1e-5)


def test_the_whole_identity_gives_back_the_same_of_every_feature(block, directions):
    v = directions(N, N)
    like = block(v, v).likeness
    assert like.value == pytest.approx(1, abs=1e-5)
    assert like.spread == pytest.approx(0, abs=1e-4)
    assert like.spread_of_identities == pytest.approx(0, abs=1e-6)


def test_an_identity_on_four_features_only_is_told_by_its_spread(block, directions):
    # A projection, but onto features: 1 for four of 64, mean 1/16, deviation sqrt(15) / 16.
    v = np.zeros((4, N))
    v[:, :4] = directions(4, 4)
    like = block(v, v).likeness
    assert like.value == pytest.approx(1, abs=1e-5)
    assert like.spread == pytest.approx(math.sqrt(15), abs=1e-3)
    assert like.spread_of_identities < 1
    assert like.spread_beyond_identities > 3


def test_a_turned_identity_of_low_rank_has_the_spread_of_turned_identities(block, directions):
    # v' Pi v of a random unit vector is Beta(r / 2, (N - r) / 2): 2 (N - r) / (r (N + 2)).
    v = directions(16, N)
    like = block(v, v).likeness
    expected = math.sqrt(2 * (N - 16) / (16 * (N + 2)))
    assert like.spread == pytest.approx(expected, rel=0.3)
    assert like.spread_of_identities == pytest.approx(expected, rel=0.1)


def test_a_map_without_features_of_its_own_is_not_defined(block, directions):
    v = directions(4, N)
    nothing = block(v, 0 * v)
    assert nothing.likeness is None
    assert nothing.spectrum.effective_rank == 0


def test_it_is_not_defined_for_absolute_values(by_hand, rows, directions):
    v = directions(4, N)
    network = by_hand(rows(v, 1.0, v), kind="absolute_value")
    found = block_of(network, np.arange(4))
    assert found.likeness is None
    assert found.spectrum.effective_rank == pytest.approx(4, abs=1e-4)


def seen_through_few(kind, decode):
    """A network with 6 inputs for 40 features, whose W1 is the identity."""
    task = Task(kind=kind, num_features=40, num_inputs=6, feature_density=0.1)
    p, q = (matrix.numpy().astype(np.float64) for matrix in projections(task, 7))
    member = Member(seed=7, num_neurons=6, learning_rate=0.01)
    eye = np.eye(6, dtype=np.float32)
    return Network(member, task, eye, np.zeros(6, np.float32), decode(p, q).T.astype(np.float32))


def test_features_seen_through_few_inputs_have_an_identity_of_that_rank(directions):
    # P+ P is the projection onto the rows of P.
    network = seen_through_few("feature_decoder", lambda p, _: np.linalg.pinv(p))
    found = block_of(network, np.arange(6))
    assert found.largest_rank == 6
    assert found.likeness.rank == 6
    assert found.likeness.value == pytest.approx(1, abs=1e-5)
    assert found.likeness.share == pytest.approx(1, abs=1e-4)


def test_the_reprojector_is_held_against_the_map_it_is_to_make():
    # O is Q with equal singular values; O P+ P is all of it that can be seen through P.
    def decode(p, q):
        left, _, right = np.linalg.svd(q, full_matrices=False)
        return left @ right @ np.linalg.pinv(p)

    like = block_of(seen_through_few("random_reprojector", decode), np.arange(6)).likeness
    assert like.best < 0.8  # the rows of P are not those of Q
    assert like.value == pytest.approx(like.best, abs=1e-5)
    assert like.by_chance.max() < like.value
    identity = seen_through_few("random_reprojector", lambda p, _: np.linalg.pinv(p)[:6])
    assert block_of(identity, np.arange(6)).likeness.value < like.value - 0.1


@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(2, 9),
    width=st.integers(1, 6),
    rank=st.integers(1, 9),
    seed=st.integers(0, 10**6),
)
def test_no_projection_is_nearer_than_the_closed_form(size, width, rank, seed):
    width, rank = min(width, size), min(rank, size)
    rng = np.random.default_rng(seed)
    right = np.linalg.qr(rng.standard_normal((size, width)))[0]
    left = rng.standard_normal((size, width))
    m = left @ right.T
    best = best_cosine(left, right, rank)
    for _ in range(20):
        v = np.linalg.qr(rng.standard_normal((size, rank)))[0]
        cosine = (m * (v @ v.T)).sum() / np.linalg.norm(m) / math.sqrt(rank)
        assert cosine <= best + 1e-9
    vectors = np.linalg.eigh(m + m.T)[1][:, size - rank :]
    reached = (m * (vectors @ vectors.T)).sum() / np.linalg.norm(m) / math.sqrt(rank)
    assert best == pytest.approx(reached, abs=1e-9)


@settings(max_examples=4, deadline=None)
@given(scale=st.floats(0.01, 100))
def test_scaling_a_block_changes_its_singular_values_only(block, directions, scale):
    v, u = directions(5, N), directions(5, N, seed=1)
    one, other = block(v, v + 0.3 * u), block(v, scale * (v + 0.3 * u))
    kept = one.spectrum.kept
    np.testing.assert_allclose(other.spectrum.kept, scale * kept, rtol=1e-5)
    assert other.spectrum.effective_rank == pytest.approx(one.spectrum.effective_rank, rel=1e-4)
    assert other.likeness.value == pytest.approx(one.likeness.value, abs=1e-5)
    np.testing.assert_allclose(other.likeness.by_chance, one.likeness.by_chance, atol=1e-5)
    assert other.likeness.spread == pytest.approx(one.likeness.spread, rel=1e-3)
