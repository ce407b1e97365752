"""Train a cohort of the quick start's sizes on one core, without Ray: a program of its own.

``bare_training.py TRIALS STEPS CORE`` prints the seconds.
"""

import os
import sys
import time

import torch
from bench_training import CASES, cohort
from machine_limit import precisions

from trainers import advance


def main(num_trials: int, num_steps: int, core: int) -> None:
    """Train, and print what it took."""
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)
    state = cohort(CASES[0], precisions()[0], num_trials)
    advance(state, state.chunk_steps)
    began = time.perf_counter()
    advance(state, num_steps)
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
