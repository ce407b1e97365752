import numpy as np
import pytest

from trainers.features import SparseFeatures, Stream, draw_uniform, generator, projection

# Statistics below are from fixed seeds; five standard deviations would be passed by chance once in
# two million.
SIGMAS = 5


def draws(density, samples, features, num_chunks=20):
    """Dense 0/1 matrices and values of several chunks."""
    for chunk in range(num_chunks):
        drawn = draw_uniform(generator(3, Stream.TRAINING, chunk), samples * features, density)
        dense = np.zeros(samples * features)
        dense[drawn.positions] = 1
        yield dense.reshape(samples, features), drawn


@pytest.mark.parametrize("density", [1 / 64, 0.3, 0.9])
def test_each_place_is_a_bernoulli_trial(density):
    samples, features, num_chunks = 400, 50, 20
    counts = np.concatenate([dense for dense, _ in draws(density, samples, features)])
    num_trials = samples * num_chunks

    per_feature = counts.mean(axis=0)
    sd = np.sqrt(density * (1 - density) / num_trials)
    assert np.abs(per_feature - density).max() < SIGMAS * sd

    # The number in a sample is binomial: mean n p, variance n p (1 - p), and the variance of a
    # sample variance is (m4 - var**2) / n with m4 = var * (1 + 3 * (n - 2) * p * (1 - p)).
    per_sample = counts.sum(axis=1)
    variance = features * density * (1 - density)
    m4 = variance * (1 + 3 * (features - 2) * density * (1 - density))
    assert abs(per_sample.mean() - features * density) < SIGMAS * np.sqrt(variance / num_trials)
    allowed = SIGMAS * np.sqrt((m4 - variance**2) / num_trials)
    assert abs(per_sample.var() - variance) < allowed


def test_features_are_independent_of_each_other_and_of_the_next_sample():
    density, num_trials = 0.2, 20 * 400
    counts = np.concatenate([dense for dense, _ in draws(density, 400, 50)])
    scaled = (counts - density) / np.sqrt(density * (1 - density))
    correlations = scaled.T @ scaled / num_trials
    off_diagonal = correlations[~np.eye(50, dtype=bool)]
    assert np.abs(off_diagonal).max() < SIGMAS / np.sqrt(num_trials)
    next_sample = (scaled[1:] * scaled[:-1]).mean()
    assert abs(next_sample) < SIGMAS / np.sqrt((num_trials - 1) * 50)


def test_values_are_uniform_and_independent_of_places():
    drawn = [drawn for _, drawn in draws(0.2, 400, 50)]
    values = np.concatenate([one.values for one in drawn]).astype(np.float64)
    positions = np.concatenate([one.positions for one in drawn])
    assert values.min() >= 0
    assert values.max() < 1
    for power in (1, 2, 3):  # E[u^p] = 1/(p+1), var[u^p] = 1/(2p+1) - 1/(p+1)^2
        sd = np.sqrt((1 / (2 * power + 1) - 1 / (power + 1) ** 2) / len(values))
        assert abs((values**power).mean() - 1 / (power + 1)) < SIGMAS * sd
    correlation = np.corrcoef(values, positions % 50)[0, 1]
    assert abs(correlation) < SIGMAS / np.sqrt(len(values))


def test_density_one_fills_every_place():
    drawn = draw_uniform(generator(0, Stream.TRAINING), 1000, 1.0)
    assert drawn.positions.tolist() == list(range(1000))


def test_tiny_density_overflows_nothing():
    drawn = draw_uniform(generator(0, Stream.TRAINING), 1000, 1e-15)
    assert len(drawn.positions) == 0


def test_more_gaps_are_drawn_where_the_first_do_not_reach():
    class Short:
        """Gaps of 1, though the density promises 100: the first draw cannot reach the end."""

        def geometric(self, _density, num_gaps):
            return np.ones(num_gaps, dtype=np.int64)

        def random(self, size, dtype):
            return np.zeros(size, dtype)

    drawn = draw_uniform(Short(), 1000, 0.01)
    assert drawn.positions.tolist() == list(range(1000))


def test_any_chunk_can_be_drawn_again_without_those_before_it():
    def draw(seed, stream, chunk) -> SparseFeatures:
        return draw_uniform(generator(seed, stream, chunk), 5000, 0.1)

    before = [draw(7, Stream.TRAINING, chunk) for chunk in range(4)]
    again = draw(7, Stream.TRAINING, 3)
    np.testing.assert_array_equal(again.positions, before[3].positions)
    np.testing.assert_array_equal(again.values, before[3].values)
    others = [*before[:3], draw(8, Stream.TRAINING, 3), draw(7, Stream.HELD_OUT, 3)]
    for other in others:
        assert not np.array_equal(other.positions, again.positions)


def test_largest_seed_has_a_stream():
    assert generator(2**64 - 1, Stream.TRAINING).random() != generator(0, Stream.TRAINING).random()


def test_projection_makes_every_feature_a_unit_vector_fixed_by_the_seed():
    seen_through = projection(5, 16, 64)
    assert seen_through.shape == (16, 64)
    np.testing.assert_allclose(np.linalg.norm(seen_through, axis=0), 1, rtol=1e-6)
    np.testing.assert_array_equal(projection(5, 16, 64), seen_through)
    assert not np.allclose(projection(6, 16, 64), seen_through)


def test_projection_has_the_left_singular_vectors_directions():
    # U spans the Gaussian matrix's columns and U U^T projects on them: it leaves them unchanged.
    # Rows scaled to unit norm keep U's angles, so cos(i, j) = (U U^T)_ij / (|U_i| |U_j|).
    gaussian = generator(5, Stream.PROJECTION).standard_normal((64, 16))
    onto = gaussian @ np.linalg.solve(gaussian.T @ gaussian, gaussian.T)
    lengths = np.sqrt(np.diag(onto))
    seen_through = projection(5, 16, 64)
    np.testing.assert_allclose(
        seen_through.T @ seen_through, onto / np.outer(lengths, lengths), atol=1e-5
    )
