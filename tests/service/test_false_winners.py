"""How often a sweep finds a winner where there is none, and where there is one.

Every training's numbers are drawn, with the spread between seeds that real ones have at 256
features, 32 inputs and 512 neurons: about 1% of the loss, 0.045 monosemantic neurons per feature.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from service.findings import findings, winner
from service.intervals import power
from service.objective import objective_of
from service.phases import ConfirmationPhase
from service.spec import Spec
from service.trials import Point, Trial

MakeSpec = Callable[..., Spec]
MakeTrial = Callable[..., Trial]

NUM_SWEEPS = 200
LOSS, LOSS_SPREAD = 0.48, 0.005
COUNT, COUNT_SPREAD = 0.65, 0.045
BASELINE = {"num_neurons": 64, "initial_bias": 0.0, "bias_decay": 0.0}


class World:
    """Where a setting's numbers are the baseline's, plus an effect, plus noise."""

    def __init__(self, seed: int, effect: float, make_trial: MakeTrial) -> None:
        self._rng = np.random.default_rng(seed)
        self._effect = effect
        self._make_trial = make_trial

    def searched(self, num_trials: int) -> list[Trial]:
        """A search, each trial on one seed."""
        found = []
        for number in range(num_trials):
            width = int(self._rng.choice([32, 64, 128]))
            numbers = self._numbers(self._effect)
            found.append(
                self._make_trial(
                    "search",
                    number,
                    settings={"num_neurons": width},
                    loss_ratio=numbers["loss"] / LOSS,
                    **numbers,
                )
            )
        return found

    def confirmed(self, points: Sequence[Point]) -> list[Trial]:
        """The confirmation of a search's finalists."""
        return [
            self._make_trial(
                "confirmation",
                number,
                settings=point.settings,
                seeds=point.seeds,
                role=point.role,
                **self._numbers(0.0 if point.role == "baseline" else self._effect),
            )
            for number, point in enumerate(points)
        ]

    def _numbers(self, effect: float) -> dict[str, float]:
        count = COUNT + effect + COUNT_SPREAD * self._rng.standard_normal()
        return {
            "loss": LOSS + LOSS_SPREAD * self._rng.standard_normal(),
            "monosemantic_per_feature": count,
            "monosemantic_per_neuron": count / 2,
            "feature_coverage": min(count, 1.0),
        }


def num_winners(spec: Spec, effect: float, make_trial: MakeTrial) -> int:
    """Sweeps with a winner, of so many."""
    found, objective = 0, objective_of(spec)
    for seed in range(NUM_SWEEPS):
        world = World(seed, effect, make_trial)
        phase = ConfirmationPhase(spec, BASELINE, world.searched(32))
        trials = world.confirmed(phase.missing([], phase.num_trials))
        found += winner(findings(phase.candidates, trials, objective), objective) is not None
    return found


def sweep(make_spec: MakeSpec, *, margin: float, finalists: int, num_seeds: int) -> Spec:
    return make_spec(
        ("num_trials: 4", "num_trials: 32"),
        ("loss_margin: 0.5", f"loss_margin: {margin}"),
        ("finalists: 1, num_seeds: 2", f"finalists: {finalists}, num_seeds: {num_seeds}"),
    )


@pytest.mark.parametrize(("margin", "finalists", "num_seeds"), [(0.02, 2, 4), (0.2, 4, 8)])
def test_where_settings_make_no_difference_there_is_no_winner(
    make_spec: MakeSpec, make_trial: MakeTrial, margin: float, finalists: int, num_seeds: int
) -> None:
    """Although the best of 32 noisy trials always looks better than the baseline."""
    spec = sweep(make_spec, margin=margin, finalists=finalists, num_seeds=num_seeds)
    assert num_winners(spec, 0.0, make_trial) <= 0.05 * NUM_SWEEPS


def test_a_small_effect_is_found_as_often_as_its_power_says(
    make_spec: MakeSpec, make_trial: MakeTrial
) -> None:
    """The margin is wide here, so that the gain alone decides."""
    spec = sweep(make_spec, margin=0.2, finalists=1, num_seeds=6)
    expected = power(0.1, COUNT_SPREAD * np.sqrt(2), 6)
    assert 0.7 < expected < 0.9
    # Two standard errors of a share of 200.
    assert num_winners(spec, 0.1, make_trial) / NUM_SWEEPS == pytest.approx(expected, abs=0.06)
