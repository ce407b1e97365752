import math

import pytest

from trainers.schedules import constant, cycling_cosine, single_cosine, warm_up


@pytest.mark.parametrize(
    ("step", "share"),
    [
        (0, 1.0),  # the top
        (128, (1 + math.sqrt(0.5)) / 2),  # cos(45 degrees)
        (256, 0.5),  # half way down
        (512, 0.0),  # the half-period
        (768, 0.5),  # half way up again
        (1024, 1.0),  # a whole cycle: it does not stay down
        (131072, 1.0),  # the paper's last step
    ],
)
def test_cycling_cosine_by_hand(step, share):
    assert cycling_cosine(step, 2**17) == pytest.approx(share, abs=1e-12)
    assert cycling_cosine(step, 100) == cycling_cosine(step, 2**17)  # the run's length is nothing


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        # at steps 0, 10, 25, 50, 75 and 100 of 100
        (single_cosine, [1, 0.9755283, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 0]),
        (constant, [1, 1, 1, 1, 1, 1]),
        (warm_up, [0.1, 1, 1, 1, 1, 1]),
    ],
)
def test_values_by_hand(schedule, shares):
    found = [schedule(step, 100) for step in (0, 10, 25, 50, 75, 100)]
    assert found == pytest.approx(shares, abs=1e-6)


def test_warm_up_rises_evenly_and_never_starts_at_zero():
    assert [warm_up(step, 40) for step in range(5)] == pytest.approx([0.25, 0.5, 0.75, 1, 1])
    assert warm_up(0, 5) == 1.0  # a tenth of five steps is less than one
