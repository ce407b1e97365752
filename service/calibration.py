"""How fast cohorts of several sizes train on a worker with GPUs, measured before the first."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from service.planning import Calibration

if TYPE_CHECKING:
    from trainers import CohortState

# Sizes are tried, ascending, until this much time is gone; where one step is long enough for that,
# what lies between cohorts does not matter.
SECONDS = 2.0
ROUNDS = 3
# Between two powers of two, so that no evaluation comes between: those are not what is measured.
FIRST_STEP = 3 * 2**20
NUM_STEPS = 2**22
SMALL_RATE = 1e-6


def step_seconds(calibration: Calibration) -> dict[int, float]:
    """Seconds that one trial's step takes in cohorts of each size, the fastest of three rounds.

    Returns:
        By size; those that there was no time for, or no memory on a GPU, are missing.
    """
    # Seconds of import that the driver, which only asks for this, never needs.
    import torch  # noqa: PLC0415

    torch.set_num_threads(calibration.num_threads)
    found: dict[int, float] = {}
    until = time.monotonic() + SECONDS
    for size in calibration.sizes:
        try:
            found[size] = min(_rounds(calibration, size)) / size
        except torch.OutOfMemoryError:
            break
        if time.monotonic() > until:
            break
    return found


def _rounds(calibration: Calibration, size: int) -> Sequence[float]:
    """Seconds a step of a cohort of this size, round by round, after one to warm up."""
    import trainers  # noqa: PLC0415

    task = trainers.Task(**calibration.task)
    settings = replace(trainers.TrainingSettings(**calibration.training), num_steps=NUM_STEPS)
    # Nothing may look diverged and leave the cohort, from a high bias or a high rate.
    trial = {**calibration.settings, "learning_rate": SMALL_RATE, "initial_bias": 0.0}
    members = [
        trainers.Member(seed=replicate, **trial)  # type: ignore[arg-type]
        for _ in range(size)
        for replicate in range(calibration.replicates)
    ]
    state = trainers.begin(task, settings, members)
    # Whole chunks of the data stream: a part of one takes the drawing of all of it.
    steps = state.chunk_steps
    state.step = FIRST_STEP // steps * steps
    return [_timed(state, steps) / steps for _ in range(ROUNDS + 1)][1:]


def _timed(state: "CohortState", num_steps: int) -> float:
    import torch  # noqa: PLC0415

    import trainers  # noqa: PLC0415

    began = time.perf_counter()
    trainers.advance(state, num_steps)
    if len(state.live) < len(state.members):
        raise RuntimeError("networks left the cohort that was to be timed")
    if state.settings.device != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter() - began
