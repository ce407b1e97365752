import math

import numpy as np
import pytest
import torch

import trainers
from trainers import Member, Record, Task, TrainingSettings, advance, begin, outcomes
from trainers.features import Stream
from trainers.replicates import draw_chunk
from trainers.sizes import chunk_steps
from trainers.tasks import draw_samples

TASK = Task(kind="feature_decoder", num_features=48, num_inputs=8, feature_density=1 / 16)


class PlainModel(torch.nn.Module):
    """The paper's model as one would write it: dense targets, autograd."""

    def __init__(self, w1, b, w2):
        super().__init__()
        self.w1, self.b, self.w2 = (torch.nn.Parameter(t.clone()) for t in (w1, b, w2))

    def forward(self, x):
        return torch.relu(x @ self.w1.T + self.b) @ self.w2.T


class PlainLamb(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["m"], state["v"] = torch.zeros_like(p), torch.zeros_like(p)
                state["m"].mul_(0.9).add_(p.grad, alpha=0.1)
                state["v"].mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
                direction = state["m"] / (state["v"].sqrt() + 1e-6)
                w_norm, d_norm = p.norm().clamp(0, 10), direction.norm()
                ratio = (w_norm / d_norm).item() if w_norm > 0 and d_norm > 0 else 1.0
                p.add_(direction, alpha=-group["lr"] * ratio)


def plain_training(state, num_steps):
    """Train member 0 of a fresh cohort with plain PyTorch on the cohort's own batches."""
    member, settings, k = state.members[0], state.settings, state.members[0].num_neurons
    weights = state.tiles[0].weights
    model = PlainModel(weights.encoder[0, :k], weights.bias[0, :k], weights.decoder[0, :k].T)
    optimizer = PlainLamb(model.parameters(), member.learning_rate)
    seen = state.replicates[member.seed].projections
    chunk_length = chunk_steps(TASK, settings)
    losses = []
    for step in range(num_steps):
        chunk, block = divmod(step, chunk_length)
        samples = draw_samples(
            TASK,
            seen,
            seed=member.seed,
            stream=Stream.TRAINING,
            chunk=chunk,
            num_blocks=chunk_length,
            batch_size=settings.batch_size,
        )
        positions, values = samples.targets.blocks()[block]
        features = torch.zeros(settings.batch_size * TASK.num_features)
        features[positions] = values
        features = features.view(settings.batch_size, TASK.num_features)
        optimizer.param_groups[0]["lr"] = (
            member.learning_rate * (1 + math.cos(math.pi * step / 512)) / 2
        )
        optimizer.zero_grad()
        loss = ((model(features @ seen.inputs.T) - features) ** 2).sum(dim=1).mean()
        loss.backward()
        optimizer.step()
        if step < settings.num_steps / 2:
            with torch.no_grad():
                model.b.mul_(1 - member.bias_decay * member.learning_rate)
        losses.append(loss.item())
    return model, losses


def test_the_same_as_a_plain_loop_with_autograd():
    settings = TrainingSettings(num_steps=192, batch_size=32)
    # Half of 192 steps with a pull of 0.01 * 1.5: the bias is left a quarter of the way.
    member = Member(seed=3, num_neurons=100, learning_rate=0.01, initial_bias=-0.3, bias_decay=1.5)
    model, losses = plain_training(begin(TASK, settings, [member]), 192)

    state = begin(TASK, settings, [member])
    cohort_losses = []
    while not state.finished:
        advance(state, 32)
        cohort_losses += state.tiles[0].losses[0].tolist()

    # Both are float32 and sum in different orders: one part in 10^7 a step, grown by training.
    np.testing.assert_allclose(cohort_losses, losses, rtol=1e-4)
    weights = state.tiles[0].weights
    torch.testing.assert_close(weights.encoder[0, :100], model.w1.data, rtol=0, atol=1e-4)
    torch.testing.assert_close(weights.bias[0, :100], model.b.data, rtol=0, atol=1e-4)
    torch.testing.assert_close(weights.decoder[0, :100], model.w2.data.T, rtol=0, atol=1e-4)
    for tensor in weights.tensors:
        assert not tensor[:, 100:].any()
    assert cohort_losses[-1] < 0.8 * cohort_losses[0]  # it learns


def test_bias_decay_stops_at_half():
    # At a learning rate of 1e-12 nothing moves but the decay: 0.3 a step, in 5 of 10 or 11 steps.
    for num_steps in (10, 11):
        settings = TrainingSettings(num_steps=num_steps, batch_size=4)
        member = Member(
            seed=0, num_neurons=64, learning_rate=1e-12, initial_bias=-1, bias_decay=3e11
        )
        state = begin(TASK, settings, [member])
        before = state.tiles[0].weights.bias.clone()
        advance(state, num_steps)
        after = state.tiles[0].weights.bias
        torch.testing.assert_close(after, before * 0.7**5, rtol=1e-5, atol=1e-6)


def test_l1_lowers_activity_and_is_not_part_of_the_loss():
    settings = TrainingSettings(num_steps=256, batch_size=32)
    plain, sparse = (Member(seed=0, num_neurons=64, learning_rate=0.01, l1=l1) for l1 in (0.0, 1.0))
    state = advance(begin(TASK, settings, [plain, sparse]), 1)
    first = [tile.losses[0, 0].item() for tile in state.tiles]
    assert first[0] == first[1]
    advance(state, 255)
    strength = [outcome.neurons.strength.sum() for outcome in outcomes(state)]
    assert strength[1] < 0.5 * strength[0]


def test_curve_is_at_powers_of_two_and_the_last_step():
    settings = TrainingSettings(num_steps=50, batch_size=8)
    state = begin(TASK, settings, [Member(seed=0, num_neurons=10, learning_rate=0.01)])
    with pytest.raises(ValueError, match="step 0 of 50"):
        outcomes(state)
    assert advance(state, 49).step == 49
    assert not state.finished
    assert advance(state, 1000).step == 50
    assert state.finished
    (outcome,) = outcomes(state)
    assert outcome.curve.steps.tolist() == [1, 2, 4, 8, 16, 32, 50]
    assert outcome.evaluation.loss == outcome.curve.loss[-1]
    assert outcome.evaluation.mean_bias == pytest.approx(outcome.neurons.bias.mean(), rel=1e-5)
    assert outcome.neurons.bias.shape == (10,)
    assert outcome.train_s > 0
    assert outcome.reason is None


def test_members_of_one_seed_share_projection_and_held_out_samples_and_seeds_do_not():
    settings = TrainingSettings(num_steps=8, batch_size=8)
    members = [Member(seed=seed, num_neurons=10, learning_rate=0.01) for seed in (1, 2)]
    state = begin(TASK, settings, members)
    assert set(state.replicates) == {1, 2}
    one, two = state.replicates[1], state.replicates[2]
    assert not torch.equal(one.projections.inputs, two.projections.inputs)
    assert not torch.equal(one.held_out.targets.values[:100], two.held_out.targets.values[:100])
    trained_on = draw_chunk(one, TASK, settings, seed=1, chunk=0)
    assert not torch.equal(one.held_out.targets.values[:100], trained_on.targets.values[:100])


def test_a_large_batch_makes_a_chunk_shorter_and_never_empty():
    def steps(batch_size):
        return chunk_steps(TASK, TrainingSettings(num_steps=1, batch_size=batch_size))

    assert steps(256) == 32
    assert steps(2**15) == 5  # 2^21 numbers / (2^15 * (8 + 48 / 16)) = 5.8
    assert steps(2**21) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_neurons": 0}, "num_neurons must be at least 1"),
        ({"seed": -1}, r"seed must be in \[0, 2\*\*64\), found -1"),
        ({"seed": 2**64}, "seed must be in"),
        ({"nonlinearity": "tanh"}, "nonlinearity must be one of relu, gelu, solu, found 'tanh'"),
        ({"learning_rate": math.nan}, "learning_rate must be finite"),
        ({"learning_rate": -0.1}, "learning_rate must be at least 0"),
        ({"initial_bias": math.inf}, "initial_bias must be finite"),
        ({"bias_decay": 100.0}, "bias_decay \\* learning_rate must be below 1, found 1"),
        ({"l1": -1.0}, "l1 must be at least 0"),
    ],
)
def test_impossible_members_are_refused(change, message):
    values = {"seed": 0, "num_neurons": 8, "learning_rate": 0.01} | change
    with pytest.raises(ValueError, match=message):
        begin(TASK, TrainingSettings(num_steps=8, batch_size=8), [Member(**values)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_steps": 0}, "num_steps must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        (
            {"optimizer": "rmsprop"},
            "optimizer must be one of lamb, adam, adamw, sgd, found 'rmsprop'",
        ),
        ({"schedule": "linear"}, "schedule must be one of cycling_cosine, single"),
        ({"precision": "float16"}, "precision must be one of float32, bfloat16"),
    ],
)
def test_impossible_settings_are_refused(change, message):
    settings = TrainingSettings(**({"num_steps": 8, "batch_size": 8} | change))
    with pytest.raises(ValueError, match=message):
        begin(TASK, settings, [Member(seed=0, num_neurons=8, learning_rate=0.01)])


def test_an_empty_cohort_and_steps_back_are_refused():
    settings = TrainingSettings(num_steps=8, batch_size=8)
    with pytest.raises(ValueError, match="at least one member"):
        begin(TASK, settings, [])
    state = begin(TASK, settings, [Member(seed=0, num_neurons=8, learning_rate=0.01)])
    with pytest.raises(ValueError, match="num_steps must be at least 0"):
        advance(state, -1)


@pytest.mark.skipif(not trainers.bfloat16_is_native(), reason="no bfloat16 products in hardware")
def test_a_negative_bias_makes_the_papers_network_monosemantic_sooner():
    # N = 256, m = 32, k = 512 at density 1/64, 5120 steps: the lever of claim 2, in small.
    task = Task(kind="feature_decoder", num_features=256, num_inputs=32, feature_density=1 / 64)
    settings = TrainingSettings(num_steps=5120, batch_size=256, precision="bfloat16")
    decay = 3 / (0.01 * 2560)
    members = [
        Member(seed=0, num_neurons=512, learning_rate=0.01),
        Member(seed=0, num_neurons=512, learning_rate=0.01, initial_bias=-0.3, bias_decay=decay),
    ]
    zero, negative = outcomes(advance(begin(task, settings, members), 5120))
    assert negative.evaluation.loss < 0.95 * zero.evaluation.loss
    gained = negative.evaluation.monosemantic_per_feature
    assert gained > zero.evaluation.monosemantic_per_feature + 0.1
    assert negative.evaluation.mean_bias < zero.evaluation.mean_bias


def test_a_record_says_who_was_in_training_at_a_step_before_anybody_was_dropped_there():
    dropped, diverged = Record(dropped_at=8), Record(diverged_at=8)
    assert [dropped.is_training_at(step) for step in (4, 8, 9)] == [True, True, False]
    # Who diverged is out by the end of that step; who is dropped there was in until then.
    assert [diverged.is_training_at(step) for step in (4, 7, 8)] == [True, True, False]
    assert Record().is_training_at(8)


def test_a_record_holds_the_curve_at_its_steps_alone():
    task = Task(kind="feature_decoder", num_features=16, num_inputs=4, feature_density=0.1)
    settings = TrainingSettings(num_steps=6, batch_size=8)
    state = begin(task, settings, [Member(seed=0, num_neurons=8, learning_rate=0.01)])
    (record,) = advance(state, 6).records
    (outcome,) = outcomes(state)
    assert record.evaluation_at(4).loss == outcome.curve.loss[list(outcome.curve.steps).index(4)]
    assert record.evaluation_at(6) == outcome.evaluation
    assert (record.evaluation_at(3), record.evaluation_at(8)) == (None, None)
