import pytest

from search_spaces import Choice, grid_of
from search_spaces.paper import BATCHES
from service.estimate import estimate
from service.paper.scaling import Scaling, scaled
from service.paper.sweep_files import command, sweeps_of
from service.planning import resolve
from service.room import Machine, Room

SMALL = Scaling(scale=2, num_steps=8192, batch_size=256)
NUM_POINTS = {"B": 11, "E": 11, "K": 8, "G3": 66, "LR": 6, "RG1": 7, "RP1": 6, "D1": 7}
ROOM = Room((Machine(num_cpus=2, memory_bytes=2**35),))


def specs_of(name, scaling=SMALL):
    return [sweep.spec for sweep in sweeps_of(scaled(BATCHES[name], scaling))]


def points_of(name):
    return NUM_POINTS.get(name) or NUM_POINTS[name.rstrip("012345")]


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("scaling", [Scaling(), SMALL], ids=["full", "small"])
def test_every_batch_can_be_planned(name, scaling):
    specs = specs_of(name, scaling)
    assert sum(spec.search.num_trials for spec in specs) == points_of(name)
    for spec in specs:
        trainings = estimate(spec, resolve(spec, ROOM)).trainings
        # every point to its end, two networks beside them, nothing else
        assert trainings == {"baseline": 2, "search": spec.search.num_trials, "confirmation": 0}
        assert (spec.search.sampler, spec.stopping) == ("grid", None)
        assert (spec.training.optimizer, spec.training.schedule) == ("lamb", "cycling_cosine")


def test_a_file_says_what_the_batch_is():
    (spec,) = specs_of("LR3")
    assert spec.name == "paper-LR3-scale2-steps8192-batch256"
    assert spec.task.model_dump() == {
        "kind": "feature_decoder",
        "num_features": 256,
        "num_inputs": 32,
        "feature_density": 1 / 64,
        "feature_distribution": "uniform",
    }
    assert (spec.model.num_neurons, spec.model.nonlinearity) == (512, "relu")
    assert (spec.training.num_steps, spec.training.batch_size) == (8192, 256)
    assert (spec.training.initial_bias, spec.training.bias_decay, spec.training.l1) == (-1, 0.48, 0)
    assert spec.space["learning_rate"] == Choice((0.001, 0.003, 0.005, 0.007, 0.01, 0.03))
    assert list(spec.space) == ["learning_rate"]
    assert spec.objective.loss_margin is None


def test_a_file_is_one_that_a_user_could_have_written():
    (sweep,) = sweeps_of(scaled(BATCHES["LR3"], SMALL))
    assert max(map(len, sweep.text.splitlines())) < 180
    assert "# Size: 256 features, 32 inputs, 512 neurons, the paper's divided by 2." in sweep.text
    assert "monosweep paper LR3 --scale 2 --steps 8192 --batch-size 256" in sweep.text
    assert sweep.spec.text == sweep.text


def test_two_grids_are_multiplied():
    (spec,) = specs_of("G3")
    points = list(grid_of(spec.space))
    assert len(points) == 66
    assert {"initial_bias": -2.0, "learning_rate": 0.03} in points
    assert spec.model.nonlinearity == "gelu"


def test_each_density_has_a_sweep():
    specs = specs_of("E2")
    assert [spec.name for spec in specs][::5] == [
        "paper-E2-scale2-steps8192-batch256-density01",
        "paper-E2-scale2-steps8192-batch256-density06",
        "paper-E2-scale2-steps8192-batch256-density11",
    ]
    assert [spec.task.feature_density for spec in specs][::5] == [1 / 32, 1 / 8, 1 / 2]
    assert {spec.training.bias_decay for spec in specs} == {0.16}  # 0.01 * 16
    assert {spec.training.initial_bias for spec in specs} == {-1.0}


def test_what_the_batch_varies_the_baseline_has_as_usual():
    (widths,) = specs_of("K1")
    assert widths.model.num_neurons == 512  # of 8 to 1024
    (rates,) = specs_of("LR1")
    assert rates.training.learning_rate == 0.01
    (decays,) = specs_of("D1")
    assert (decays.training.bias_decay, decays.training.learning_rate) == (0.0, 0.007)


def test_seeds_are_replicates_that_the_baseline_has_too():
    (spec,) = specs_of("LR1", Scaling(num_seeds=3))
    assert spec.name == "paper-LR1-seeds3"
    assert (spec.search.replicates, spec.baseline.num_seeds) == (3, 3)
    (one,) = specs_of("LR1", Scaling())
    assert (one.name, one.search.replicates, one.baseline.num_seeds) == ("paper-LR1", 1, 2)


def test_the_command_again():
    assert command("LR1", Scaling()) == "monosweep paper LR1"
    assert command("claims", Scaling(scale=2, num_seeds=2)) == (
        "monosweep paper claims --scale 2 --seeds 2"
    )
