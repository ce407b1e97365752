"""Train what searches are replayed on, and keep the curves.

Run by ``make record``: five hours of one core for the 512 settings of ``data/recording.yaml``, two
seeds each. What is in ``data/recording.parquet`` already is not trained again, so that it may be
interrupted, and goes on on any machine; ``WORKERS`` is how many cores it takes, all by default.
"""

import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import torch
from machine_limit import precisions
from recording import BASELINE, FILE, SPEC, read, seeds_of, settings_of, table_of

from service.planning import training_settings
from service.spec import Spec, load_spec
from service.storage import as_parquet
from trainers import Curve, Member, Task, TrainingSettings, advance, begin, outcomes

# Trainings between two writings of the file.
NUM_KEPT = 8


def curves(spec: Spec, number: int) -> dict[int, Curve]:
    """Train one number's networks to the end, on one thread; the curve of each seed."""
    torch.set_num_threads(1)
    training = TrainingSettings(**training_settings(spec, precisions()[0], "cpu"))
    seeds, settings = seeds_of(spec, number), settings_of(spec, number)
    members = [Member(seed=seed, **settings) for seed in seeds]
    state = begin(Task(**spec.task.model_dump()), training, members)
    found = outcomes(advance(state, training.num_steps))
    return {seed: one.curve for seed, one in zip(seeds, found, strict=True)}


def train(source: Path, number: int) -> pa.Table:
    """The rows of one number; in a process of its own."""
    return table_of(number, curves(load_spec(source), number))


def record(source: Path, path: Path, workers: int) -> pa.Table:
    """Train what is missing, write it as it comes, and give all of it."""
    spec, table = load_spec(source), read(path)
    there = set(table["number"].to_pylist())
    missing = [one for one in (BASELINE, *range(spec.search.num_trials)) if one not in there]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        trained = as_completed(pool.submit(train, source, number) for number in missing)
        for count, done in enumerate(trained, start=1):
            table = pa.concat_tables([table, done.result()])
            if count % NUM_KEPT == 0 or count == len(missing):
                write(path, table)
            print(f"{count} of {len(missing)} settings", end="\r", file=sys.stderr, flush=True)
    return table


def write(path: Path, table: pa.Table) -> None:
    """The whole file at once or not at all."""
    ordered = table.sort_by([("number", "ascending"), ("seed", "ascending"), ("step", "ascending")])
    part = path.with_suffix(".part")
    part.write_bytes(as_parquet(ordered))
    part.replace(path)


def main() -> None:
    """Record what is missing."""
    workers = int(os.environ.get("WORKERS", str(len(os.sched_getaffinity(0)))))
    table = record(SPEC, FILE, workers)
    print(f"{len(set(table['number'].to_pylist())) - 1} settings in {FILE}")


if __name__ == "__main__":
    main()
