import json
import subprocess
import sys

import pytest

from trainers import Member, Task, TrainingSettings, bfloat16_is_native
from trainers.footprint import NUM_MOMENTS, peak_bytes
from trainers.optimizers import OPTIMIZERS

CHILD = """
import json, sys
from trainers import Member, Task, TrainingSettings, peak_bytes
task, settings, members, steps = json.loads(sys.argv[1])
arguments = Task(**task), TrainingSettings(**settings), [Member(**one) for one in members]
predicted = peak_bytes(*arguments)
assert not {"torch", "numpy"} & set(sys.modules)
import torch
torch.set_num_threads(1)
from trainers import advance, begin
advance(begin(*arguments), steps)
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
print(json.dumps([predicted, peak]))
"""


def measured(argument: str) -> list[int]:
    """The predicted and the measured peak of a process of its own, in bytes."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, argument], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


# What sweeps are trained in here: where there is no hardware for it, bfloat16 takes minutes.
AUTO = "bfloat16" if bfloat16_is_native() else "float32"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("kind", "sizes", "settings", "num_members"),
    [
        # The runtime alone; weights of many; then products, samples, weights, products again.
        ("feature_decoder", (64, 8, 64), (32, "lamb", "float32"), 1),
        ("feature_decoder", (256, 32, 512), (256, "lamb", AUTO), 64),
        ("feature_decoder", (512, 64, 1024), (2048, "sgd", AUTO), 16),
        ("random_reprojector", (512, 64, 1024), (8192, "adam", AUTO), 2),
        ("absolute_value", (512, 64, 2048), (256, "lamb", AUTO), 32),
        ("feature_decoder", (512, 64, 2048), (8192, "lamb", "float32"), 2),
    ],
)
def test_peak_is_predicted_within_a_fifth(kind, sizes, settings, num_members):
    num_features, num_inputs, num_neurons = sizes
    task = {
        "kind": kind,
        "num_features": num_features,
        "num_inputs": num_inputs,
        "feature_density": 1 / 64,
    }
    names = "batch_size", "optimizer", "precision"
    settings = {"num_steps": 2, **dict(zip(names, settings, strict=True))}
    # Room is reckoned for all neurons to be active; pages that are never written take none.
    member = {"seed": 0, "num_neurons": num_neurons, "learning_rate": 0.01, "initial_bias": 9.0}
    argument = json.dumps([task, settings, [member] * num_members, 2])
    predicted, peak = measured(argument)
    if peak > 1.2 * predicted:
        # The kernel may have backed memory with huge pages of which little is used.
        predicted, peak = measured(argument)
    assert predicted == pytest.approx(peak, rel=0.2)


def test_each_optimizer_is_counted():
    assert {name: one.num_moments for name, one in OPTIMIZERS.items()} == NUM_MOMENTS


def test_a_member_more_costs_its_weights_and_moments():
    task = Task(kind="feature_decoder", num_features=256, num_inputs=32, feature_density=1 / 64)
    settings = TrainingSettings(num_steps=2, batch_size=256)
    member = Member(seed=0, num_neurons=500, learning_rate=0.01)  # padded to 512
    more = peak_bytes(task, settings, [member] * 5) - peak_bytes(task, settings, [member] * 4)
    # 512 * (32 + 1 + 256) floats: weights, two moments, and the weights once more.
    assert more == 4 * 4 * 147968
