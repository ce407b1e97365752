"""Replays on trainings made by hand, and a short form of the benchmark on the recorded ones."""

import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bench_search import DEFAULT, METHODS, OPTUNAS, RANDOM, measure, show
from recording import BASELINE, Recording, recording, settings_of
from replay import Method, replay, steps_until_found, winner_is_lost, worth_of_finalists

from service.spec import load_spec, parse_spec
from trainers import Evaluation

TEXT = """\
name: hand
task: {kind: feature_decoder, num_features: 64, num_inputs: 16, feature_density: 0.03125}
model: {num_neurons: 64}
training: {num_steps: 4096, batch_size: 32, learning_rate: 0.01}
search_space: bias_and_width
objective: {maximize: monosemantic_per_feature}
search: {num_trials: 8}
"""


def point(loss, soft, hard):
    return Evaluation(
        loss=loss,
        monosemantic_per_feature=hard,
        monosemantic_per_neuron=hard,
        feature_coverage=hard,
        concentration_per_feature=soft,
        num_dead=0,
        mean_bias=0.0,
        monosemantic_per_feature_published=hard,
    )


def by_hand(*networks):
    """Of each number: loss, soft score at a quarter of training, objective at the end."""
    spec = parse_spec(TEXT, origin="test")
    curves = {(BASELINE, 0): ((1024, point(1.0, 0.0, 0.0)), (4096, point(1.0, 0.0, 0.0)))}
    for number, (loss, soft, hard) in enumerate(networks):
        curves[number, 0] = ((1024, point(loss, soft, 0.0)), (4096, point(loss, soft, hard)))
    return Recording(spec, curves)


def in_order(cohort_size=1, *, stops=False):
    """Asks for the recorded numbers one after the other."""

    def propose(recorded, _seed):
        return lambda trials: settings_of(recorded.spec, len(trials))

    return Method(propose=propose, cohort_size=cohort_size, stops=stops)


FOUR = by_hand((1.0, 0.1, 0.2), (1.0, 0.4, 0.8), (1.0, 0.3, 0.96), (1.0, 0.2, 1.0))


def test_a_setting_near_the_best_is_found_when_it_was_trained_to_the_end():
    """The third is within 5% of the fourth."""
    assert steps_until_found(FOUR, replay(FOUR, in_order(), 0)) == 3 * 4096
    assert steps_until_found(FOUR, replay(FOUR, in_order(2), 0)) == 4 * 4096


def test_the_best_must_be_feasible():
    """The best of all loses a tenth more than the baseline: the second is the best that counts."""
    some = by_hand((1.0, 0.1, 0.2), (1.02, 0.4, 0.8), (1.1, 0.3, 1.0), (1.0, 0.2, 0.5))
    assert some.worth == {0: 0.2, 1: 0.8, 3: 0.5}
    assert steps_until_found(some, replay(some, in_order(), 0)) == 2 * 4096


def test_early_stopping_costs_what_was_trained_and_may_lose_the_best():
    """Of four the best by the soft score, the second, goes on after a quarter."""
    (moment,) = replay(FOUR, in_order(4, stops=True), 0)
    assert (moment.complete, moment.stopped) == ((1,), (0, 2, 3))
    assert moment.num_steps == 3 * 1024 + 4096
    assert steps_until_found(FOUR, [moment]) == math.inf
    assert winner_is_lost(FOUR, [moment], 4)
    assert not winner_is_lost(FOUR, replay(FOUR, in_order(4), 0), 4)


def test_a_winner_within_five_percent_of_what_was_stopped_is_not_lost():
    near = by_hand((1.0, 0.1, 0.2), (1.0, 0.4, 0.95), (1.0, 0.3, 0.96), (1.0, 0.2, 1.0))
    assert not winner_is_lost(near, replay(near, in_order(4, stops=True), 0), 4)


def test_racing_takes_steps_from_the_search_and_noise_from_the_choice():
    """On the first seed the order is turned round by noise; a second seed shows who is best."""
    spec = parse_spec(TEXT.replace("num_trials: 8", "num_trials: 8, replicates: 2"), origin="t")
    curves = {(BASELINE, seed): ((4096, point(1.0, 0.0, 0.0)),) for seed in (0, 1)}
    for number, (first, second) in enumerate([(0.9, 0.1), (0.8, 0.2), (0.7, 0.9), (0.0, 1.6)]):
        for seed, hard in enumerate((first, second)):
            points = ((1024, point(1.0, hard, 0.0)), (4096, point(1.0, hard, hard)))
            curves[number, seed] = points
    curves |= {
        (BASELINE, seed): ((1024, point(1.0, 0, 0)), *curves[BASELINE, seed]) for seed in (0, 1)
    }
    noisy = Recording(spec, curves)
    assert noisy.worth == pytest.approx({0: 0.5, 1: 0.5, 2: 0.8, 3: 0.8})

    def share(trainings, num_raced):
        return worth_of_finalists(
            noisy,
            replay(noisy, in_order(), 0),
            0,
            num_steps=trainings * 4096,
            num_raced=num_raced,
        )

    assert share(3, 0) == pytest.approx(0.5 / 0.8)
    assert share(6, 3) == pytest.approx(1.0)
    assert share(5, 3) == pytest.approx(0.5 / 0.8)  # the third was never trained


def test_what_is_proposed_is_the_nearest_that_was_not_trained_yet():
    def corner(recorded, _seed):
        return lambda _trials: settings_of(recorded.spec, 2)

    moments = list(replay(FOUR, Method(propose=corner), 0))
    assert moments[0].complete == (2,)
    assert sorted(moments[-1].complete) == [0, 1, 2, 3]


@pytest.mark.occasional
def test_all_that_is_compared_is_measured_on_real_trainings(capsys):
    names = [RANDOM, OPTUNAS, DEFAULT]
    found = measure(names, 1, 1)
    steps = {name: one["median"] for name, one in found["steps"].items()}
    assert steps[DEFAULT] < steps[RANDOM]
    assert list(found["steps"]) == names
    assert [row["other"] for row in found["rows"]] == [steps[OPTUNAS], steps[RANDOM]]
    assert 0.0 < found["racing"]["worth"][0] <= 1.0
    show(found, recording().spec.training.num_steps)
    assert "times fewer" in capsys.readouterr().out


def test_the_defaults_are_those_of_a_sweep_file():
    """What stands here as the defaults is what a file that says nothing gets."""
    from service.planning import resolve
    from service.room import Machine, Room

    spec = load_spec(Path(__file__).with_name("data") / "recording.yaml")
    spec = spec.model_copy(update={"search": replace_trials(spec.search)})
    resolved = resolve(spec, Room((Machine(num_cpus=1, memory_bytes=2**34),)))
    assert resolved.sampler == "gp"
    assert spec.stopping is not None
    assert METHODS[DEFAULT].stops
    assert METHODS[DEFAULT].cohort_size == resolved.cohort_size


def replace_trials(search):
    return search.model_copy(update={"num_trials": 24, "replicates": 1})
