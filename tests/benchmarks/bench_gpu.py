"""A GPU's cohorts beside a plain PyTorch loop on the same GPU, and the paper's own batches on it.

Run by ``make bench-gpu``; prints tables and writes ``build/bench/gpu.json``. The paper's batches
LR1 and LR3 (learning rates at zero bias, and at an initial bias of -1 with decay 0.03) are trained
at full size: 512/64/1024, batches of 8192, 2**17 steps.

Source: Jermyn et al. 2022, table 1.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from machine_limit import Sizes
from plain_loop import plain_loop
from results import whole, write

from trainers import Member, Task, TrainingSettings, advance, begin, outcomes

PAPER = Sizes(512, 64, 1024, 8192)
PAPER_STEPS = 2**17
DENSITY = 1 / 64
COHORT_SIZES = (1, 8, 64)
RATES = (0.001, 0.003, 0.005, 0.007, 0.01, 0.03)
BATCHES = {"LR1": (0.0, 0.0), "LR3": (-1.0, 0.03)}  # initial bias, bias decay
# Between two powers of two, so that no evaluation comes between.
FIRST_STEP = 2**16 + 2**10
OUTPUT = Path("build/bench/gpu.json")


def task(sizes: Sizes) -> Task:
    """The feature decoder of these sizes."""
    return Task(
        kind="feature_decoder",
        num_features=sizes.num_features,
        num_inputs=sizes.num_inputs,
        feature_density=DENSITY,
    )


def seconds(work: Callable[[], object], device: str) -> float:
    """Wall time until the device has done the work."""
    synchronize(device)
    began = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - began


def synchronize(device: str) -> None:
    """Wait until the device has nothing left to do."""
    if device != "cpu":
        torch.accelerator.synchronize()


def step_s(sizes: Sizes, cohort_size: int, steps: int, device: str) -> float:
    """Seconds for one trial's step in a cohort of this size, after as many to warm up."""
    settings = TrainingSettings(
        num_steps=PAPER_STEPS, batch_size=sizes.batch_size, precision="bfloat16", device=device
    )
    member = Member(seed=0, num_neurons=sizes.num_neurons, learning_rate=0.003)
    state = begin(task(sizes), settings, [member] * cohort_size)
    # Whole chunks of the data stream: a part of one takes the drawing of all of it.
    state.step = FIRST_STEP // state.chunk_steps * state.chunk_steps
    advance(state, steps)
    return seconds(lambda: advance(state, steps), device) / steps / cohort_size


def plain_step_s(sizes: Sizes, steps: int, device: str) -> float:
    """Seconds for a step of the plain loop, after as many to warm up."""
    plain = plain_loop(sizes, DENSITY, device)

    def run() -> None:
        for _ in range(steps):
            next(plain)

    run()
    return seconds(run, device) / steps


def speed(sizes: Sizes, steps: int, device: str) -> list[dict[str, Any]]:
    """A row for each cohort size."""
    plain = plain_step_s(sizes, steps, device)
    rows = []
    for size in COHORT_SIZES:
        ours = step_s(sizes, size, steps, device)
        rows.append(
            {
                "case": f"{sizes} cohort of {size}",
                "ours": ours,
                "other": plain,
                "ratio": plain / ours,
                "unit": "s",
            }
        )
    return rows


def paper(sizes: Sizes, num_steps: int, device: str) -> dict[str, Any]:
    """LR1 and LR3 in one cohort: seconds, and what came of each network."""
    settings = TrainingSettings(
        num_steps=num_steps, batch_size=sizes.batch_size, precision="bfloat16", device=device
    )
    networks = [(batch, rate) for batch in BATCHES for rate in RATES]
    members = [
        Member(
            seed=0,
            num_neurons=sizes.num_neurons,
            learning_rate=rate,
            initial_bias=BATCHES[batch][0],
            bias_decay=BATCHES[batch][1],
        )
        for batch, rate in networks
    ]
    state = begin(task(sizes), settings, members)
    taken = seconds(lambda: advance(state, num_steps), device)
    return {
        "num_steps": num_steps,
        "seconds": taken,
        "networks": [
            {
                "batch": batch,
                "learning_rate": rate,
                "diverged": one.reason,
                **(asdict(one.evaluation) if one.evaluation else {}),
            }
            for (batch, rate), one in zip(networks, outcomes(state), strict=True)
        ],
    }


def measure(sizes: Sizes, steps: int, num_steps: int, device: str) -> dict[str, Any]:
    """The whole benchmark, as it is written."""
    name = torch.cuda.get_device_name() if device == "cuda" else "processor"
    rows = speed(sizes, steps, device)
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else None
    return whole(
        rows,
        ("torch", "numpy", "torch-optimizer"),
        machine={"device": name},
        memory={"peak_bytes": peak},
        paper=paper(sizes, num_steps, device),
    )


def main(arguments: Sequence[str]) -> int:
    """Measure, print the tables, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=PAPER_STEPS, help="of the paper's batches")
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print("bench-gpu needs a GPU that torch sees, found none.", file=sys.stderr)
        return 2
    found = measure(PAPER, steps=30, num_steps=options.steps, device="cuda")
    for row in found["rows"]:
        ours, other = row["ours"] * 1e3, row["other"] * 1e3
        print(f"{row['case']:34} {ours:9.4f} ms, plain {other:9.4f} ms: {row['ratio']:.1f} times")
    trained = found["paper"]
    print(f"LR1 and LR3, {trained['num_steps']} steps: {trained['seconds']:.0f} s")
    for one in trained["networks"]:
        print(
            f"{one['batch']} {one['learning_rate']:<6} "
            + (
                one["diverged"]
                or f"loss {one['loss']:.4f}, monosemantic per feature "
                f"{one['monosemantic_per_feature']:.3f}, coverage {one['feature_coverage']:.3f}"
            )
        )
    write(OUTPUT, found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
