"""Nothing of a step is left behind on the processor when the networks are elsewhere.

torch's ``meta`` device holds shapes without numbers, and refuses to mix with arrays of a processor
as a GPU would: so the path of wide tiles is walked also where there is no GPU.
"""

import pytest
import torch

from trainers import Member, Task, TrainingSettings, advance, begin, outcomes, training
from trainers.names import NONLINEARITIES, OPTIMIZERS, TASK_KINDS

BETWEEN_EVALUATIONS = 3 * 2**18


@pytest.fixture
def elsewhere(monkeypatch):
    """A cohort on the meta device, whose losses, having no numbers, are not looked at."""
    monkeypatch.setattr(training, "_without_diverged", lambda state, _: state.tiles)

    def make(kind, optimizer, precision):
        settings = TrainingSettings(
            num_steps=2**20, batch_size=16, optimizer=optimizer, precision=precision, device="meta"
        )
        members = [
            Member(seed=seed, num_neurons=64, learning_rate=0.01, nonlinearity=name, l1=l1)
            for seed in (0, 1)
            for name in NONLINEARITIES
            for l1 in (0.0, 0.1)
        ]
        task = Task(kind=kind, num_features=64, num_inputs=8, feature_density=0.1)
        state = begin(task, settings, members)
        assert {len(tile.slots) for tile in state.tiles} == {2}
        state.step = BETWEEN_EVALUATIONS
        return state

    return make


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", TASK_KINDS)
def test_a_step_stays_on_the_device(elsewhere, kind, optimizer, precision):
    state = advance(elsewhere(kind, optimizer, precision), 3)
    assert state.step == BETWEEN_EVALUATIONS + 3
    for tile in state.tiles:
        for array in (tile.weights.flat, tile.losses, tile.rates, *(m.flat for m in tile.moments)):
            assert array.device.type == "meta"


@pytest.mark.parametrize("kind", TASK_KINDS)
def test_an_evaluation_stays_there_until_its_one_number(elsewhere, kind):
    state = elsewhere(kind, "lamb", "bfloat16")
    with pytest.raises(RuntimeError, match=r"item\(\) cannot be called on meta"):
        training._evaluate_(state, state.tiles[0], 4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch sees")
@pytest.mark.parametrize("kind", TASK_KINDS)
def test_a_gpu_comes_to_what_the_processor_comes_to(kind):
    task = Task(kind=kind, num_features=64, num_inputs=16, feature_density=0.05)
    members = [
        Member(seed=0, num_neurons=num_neurons, learning_rate=0.003, initial_bias=bias)
        for num_neurons in (64, 2048)
        for bias in (0.0, -0.5)
    ]
    found = {}
    for device in ("cpu", "cuda"):
        settings = TrainingSettings(
            num_steps=512, batch_size=128, precision="float32", device=device
        )
        found[device] = outcomes(advance(begin(task, settings, members), 512))
    for ours, theirs in zip(found["cuda"], found["cpu"], strict=True):
        assert ours.evaluation.loss == pytest.approx(theirs.evaluation.loss, rel=0.02)
        assert ours.evaluation.mean_bias == pytest.approx(theirs.evaluation.mean_bias, abs=0.01)
