import numpy as np
import pytest

from trainers.features import (
    SparseFeatures,
    Stream,
    draw_power_law,
    draw_uniform,
    generator,
    power_law_densities,
    projection,
    uniform_densities,
)

# Statistics below are from fixed seeds; five standard deviations would be passed by chance once in
# two million.
SIGMAS = 5


def draws(density, samples, features, num_chunks=20):
    """Dense 0/1 matrices and values of several chunks."""
    for chunk in range(num_chunks):
        drawn = draw_uniform(generator(3, Stream.TRAINING, chunk), samples, features, density)
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
    drawn = draw_uniform(generator(0, Stream.TRAINING), 100, 10, 1.0)
    assert drawn.positions.tolist() == list(range(1000))


def test_tiny_density_overflows_nothing():
    drawn = draw_uniform(generator(0, Stream.TRAINING), 100, 10, 1e-15)
    assert len(drawn.positions) == 0


def test_more_gaps_are_drawn_where_the_first_do_not_reach():
    class Short:
        """Gaps of one place, though the density promises 100: no draw reaches the end."""

        num_draws = 0

        def standard_exponential(self, num_gaps):
            gaps = np.full(num_gaps, -np.log1p(-0.01))
            gaps[0] *= 0.5 if self.num_draws == 0 else 1.0
            self.num_draws += 1
            return gaps

        def random(self, size, dtype):
            return np.zeros(size, dtype)

    rng = Short()
    drawn = draw_uniform(rng, 100, 10, 0.01)
    assert drawn.positions.tolist() == list(range(1000))
    assert rng.num_draws > 1


def test_any_chunk_can_be_drawn_again_without_those_before_it():
    def draw(seed, stream, chunk) -> SparseFeatures:
        return draw_uniform(generator(seed, stream, chunk), 500, 10, 0.1)

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


def test_power_law_densities_by_hand():
    # 2**-1.1 = 0.466516, 3**-1.1 = 0.298653, 4**-1.1 = 0.217638: sum 1.982808, mean 0.495702.
    assert power_law_densities(4, 0.2) == pytest.approx(
        [0.403469, 0.188225, 0.120497, 0.087810], abs=1e-6
    )
    assert power_law_densities(4, 0.2).mean() == pytest.approx(0.2)


def test_power_law_densities_are_clipped_at_one_after_scaling():
    # Scaled to a mean of 0.6 they are 1.210407, 0.564674, 0.361491, 0.263430.
    assert power_law_densities(4, 0.6) == pytest.approx(
        [1.0, 0.564674, 0.361491, 0.263430], abs=1e-6
    )
    assert power_law_densities(3, 1.0)[0] == 1.0
    assert uniform_densities(3, 0.25).tolist() == [0.25, 0.25, 0.25]


@pytest.mark.parametrize("mean_density", [1 / 64, 0.3, 1.0])
def test_power_law_features_are_bernoulli_trials_of_their_densities(mean_density):
    samples, features, num_chunks = 400, 50, 20
    expected = power_law_densities(features, mean_density)
    counts = []
    for chunk in range(num_chunks):
        rng = generator(3, Stream.TRAINING, chunk)
        drawn = draw_power_law(rng, samples, features, mean_density)
        assert (np.diff(drawn.positions) > 0).all()
        dense = np.zeros(samples * features)
        dense[drawn.positions] = 1
        counts.append(dense.reshape(samples, features))
    hits = np.concatenate(counts)
    num_trials = samples * num_chunks
    sd = np.sqrt(expected * (1 - expected) / num_trials)
    assert (np.abs(hits.mean(axis=0) - expected) <= SIGMAS * sd).all()
    # Independent: the variance of a sample's count is the sum of the features' variances.
    variance = (expected * (1 - expected)).sum()
    assert hits.sum(axis=1).var() == pytest.approx(variance, rel=SIGMAS * np.sqrt(2.2 / num_trials))
    uncertain = expected < 1
    scaled = (hits - expected)[:, uncertain] / np.sqrt(expected * (1 - expected))[uncertain]
    next_sample = (scaled[1:] * scaled[:-1]).mean()
    assert abs(next_sample) < SIGMAS / np.sqrt((num_trials - 1) * uncertain.sum())


def test_difference_by_hand():
    one = SparseFeatures(np.array([1, 4, 6]), np.array([0.5, 0.25, 1.0], dtype=np.float32))
    other = SparseFeatures(np.array([0, 4]), np.array([0.75, 0.75], dtype=np.float32))
    difference = one.minus(other)
    assert difference.positions.tolist() == [0, 1, 4, 6]
    assert difference.values.tolist() == [-0.75, 0.5, -0.5, 1.0]
    nothing = SparseFeatures(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
    assert nothing.minus(nothing).positions.tolist() == []
    assert nothing.minus(one).values.tolist() == [-0.5, -0.25, -1.0]


def test_the_two_projections_of_a_seed_differ():
    assert not np.allclose(projection(5, 16, 64), projection(5, 16, 64, Stream.REPROJECTION))
