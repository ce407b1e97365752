"""Whether bfloat16 products give the same science as float32: paired seeds, an equivalence test.

Run by ``make bench-equivalence``, which takes about an hour on one core and uses all there are; an
interrupted run goes on where it was. Prints a table and writes ``build/bench/equivalence.json``.

The number of seeds is fixed before any of them is seen. Eight seeds differed between precisions by
0.05 in monosemantic neurons per feature (standard deviation of the pairs), and by 0.9% in loss:
128 pairs then show equivalence within 0.02 nineteen times in twenty, if there is no difference.
"""

import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from results import write

from service.intervals import mean_interval
from service.machine import versions
from trainers import Member, Task, TrainingSettings, advance, begin, outcomes

OUTPUT = Path("build/bench/equivalence.json")
PAIRS = Path("build/bench/equivalence-pairs.jsonl")
NUM_SEEDS = 128
PRECISIONS = ("bfloat16", "float32")
# What counts as equal: a loss within half a percent, a share of neurons or features within 0.02.
LOSS = "loss"
MARGINS = {
    LOSS: 0.005,
    "monosemantic_per_feature": 0.02,
    "monosemantic_per_neuron": 0.02,
    "feature_coverage": 0.02,
}
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Case:
    """One network's task and training; the precision is what is compared."""

    task: Task
    training: TrainingSettings
    member: Member


# Where the bias does its work: two thirds of the features get a neuron of their own, so that there
# is something to lose. At zero bias and this rate nearly none would be monosemantic in either.
CASE = Case(
    task=Task(
        kind="feature_decoder", num_features=256, num_inputs=32, feature_density=1 / 64
    ),
    training=TrainingSettings(num_steps=2**13, batch_size=256),
    member=Member(
        seed=0, num_neurons=512, learning_rate=0.01, initial_bias=-0.3,
        # A pull of 3 in all: bias_decay * learning_rate * num_steps / 2.
        bias_decay=3 / (0.01 * 2**12),
    ),
)  # fmt: skip


def train(case: Case, precision: str, seed: int) -> dict[str, float]:
    """The metrics at the end of one network's training, on one thread."""
    torch.set_num_threads(1)
    settings = replace(case.training, precision=precision)
    state = begin(case.task, settings, [replace(case.member, seed=seed)])
    (outcome,) = outcomes(advance(state, settings.num_steps))
    if outcome.evaluation is None:
        raise RuntimeError(f"seed {seed} diverged in {precision}: {outcome.reason}")
    found = asdict(outcome.evaluation)
    return {name: found[name] for name in MARGINS}


def train_pair(case: Case, seed: int) -> dict[str, Any]:
    """One seed in both precisions."""
    return {"seed": seed, **{name: train(case, name, seed) for name in PRECISIONS}}


def equivalence(pairs: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each metric the mean difference of the pairs, its interval, and whether it is in bounds.

    Of the loss it is the ratio less 1. The intervals are corrected for their number (Bonferroni):
    together they hold with ``CONFIDENCE``.
    """
    confidence = 1 - (1 - CONFIDENCE) / len(MARGINS)
    found = {}
    for name, margin in MARGINS.items():
        values = [(pair["bfloat16"][name], pair["float32"][name]) for pair in pairs]
        differences = [ours / other - 1 if name == LOSS else ours - other for ours, other in values]
        interval = mean_interval(differences, confidence)
        found[name] = {
            **interval.as_json(),
            "margin": margin,
            "equivalent": -margin < interval.low and interval.high < margin,
            "bfloat16_mean": sum(ours for ours, _ in values) / len(values),
            "float32_mean": sum(other for _, other in values) / len(values),
        }
    return found


def trained_pairs(case: Case, seeds: Sequence[int], workers: int, kept: Path) -> list[Any]:
    """Pairs of all seeds; those in the file ``kept`` are not trained again, new ones added."""
    label = repr(case)
    lines = kept.read_text().splitlines() if kept.exists() else []
    pairs = {one["seed"]: one for one in map(json.loads, lines) if one["case"] == label}
    missing = [seed for seed in seeds if seed not in pairs]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for done in as_completed(pool.submit(train_pair, case, seed) for seed in missing):
            pair = {"case": label, **done.result()}
            pairs[pair["seed"]] = pair
            with kept.open("a") as file:
                file.write(json.dumps(pair) + "\n")
            print(f"{len(pairs)} of {len(seeds)} pairs", end="\r", file=sys.stderr, flush=True)
    return [pairs[seed] for seed in seeds]


def measure(case: Case, num_seeds: int, workers: int, kept: Path) -> dict[str, Any]:
    """The whole study, as it is written."""
    pairs = trained_pairs(case, range(num_seeds), workers, kept)
    return {
        "versions": versions(),
        "case": asdict(case),
        "num_seeds": num_seeds,
        "confidence": CONFIDENCE,
        "metrics": equivalence(pairs),
    }


def main() -> None:
    """Train, print a table, write the file."""
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    workers = int(os.environ.get("WORKERS", str(len(os.sched_getaffinity(0)))))
    found = measure(CASE, NUM_SEEDS, workers, PAIRS)
    print(f"bfloat16 less float32 over {NUM_SEEDS} paired seeds; of the loss the ratio less 1")
    for name, one in found["metrics"].items():
        print(
            f"{name:26} {one['mean']:+.4f} ({one['low']:+.4f} to {one['high']:+.4f}), "
            f"bounds {one['margin']}: {'equivalent' if one['equivalent'] else 'not shown'}"
        )
    write(OUTPUT, found)


if __name__ == "__main__":
    main()
