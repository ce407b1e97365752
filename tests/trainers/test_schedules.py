import math

import pytest

from trainers.schedules import cycling_cosine


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
def test_values_by_hand(step, share):
    assert cycling_cosine(step) == pytest.approx(share, abs=1e-12)
