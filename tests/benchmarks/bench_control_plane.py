"""What the machinery costs a trial, by the number of trials: nothing is trained.

Run by ``make bench-control-plane``; prints a table and writes ``build/bench/control_plane.json``.
Cohorts of 16 end at once, on two workers, with the real ledger, sampler, Ray Tune and driver; see
``noop_cohorts``. MLflow is apart: it is written by a thread of its own (``make bench-tracking``).
So is the driver's memory told without it; ``make bench-large`` has that of a whole ``resume``. Of
the fewest trials, among which a moment's noise is much, several sweeps are measured, and the one of
the median is told.
"""

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path += [str(Path(__file__).parents[1] / name) for name in ("integration", "servers")]

from bench_nodes import new_ledgers, noop
from noop_cohorts import Settings
from results import row, whole, write

OUTPUT = Path("build/bench/control_plane.json")
NUM_TRIALS = (100, 1_000, 10_000)
COHORT = 16
WORKERS = 2
# Sweeps of the fewest trials.
ROUNDS = 5
# Of a trial among the most trials: at most so much, and so many times that among the fewest.
WANTED_MS, WANTED_RATIO = 30.0, 1.5
WANTED_BYTES = 1e9
MEMORY = "driver's memory at most, without MLflow:"


def measure(
    num_trials: Sequence[int], databases: Sequence[str], *, profile: bool
) -> list[dict[str, Any]]:
    """What was found for each database and number of trials.

    Args:
        num_trials: Of a search, each in a ledger of its own; the fewest first.
        databases: Kinds of ledger.
        profile: Whether to find out where the time of the largest goes, in another run.
    """
    rows: list[dict[str, Any]] = []
    for kind in databases:
        with new_ledgers(kind) as new:
            for number, count in enumerate(num_trials):
                found = [
                    _each_trial(noop(_settings(new(), count)))
                    for _ in range(1 if number else ROUNDS)
                ]
                rows.append({"database": kind, "num_trials": count, **_median(found)})
                print(_line(rows[-1]), flush=True)
            if profile:
                rows[-1]["hot"] = noop(_settings(new(), num_trials[-1], profile=True))["hot"]
    return rows


def _settings(ledger_url: str, num_trials: int, *, profile: bool = False) -> Settings:
    return Settings(ledger_url, "auto", WORKERS, COHORT, -(-num_trials // COHORT), 0, profile)


def _median(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The sweep of the median time a trial; of each sweep that time."""
    times = [one["trial_ms"] for one in found]
    one = found[times.index(statistics.median_low(times))]
    return {**one, "each_trial_ms": times}


def _each_trial(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "sampler": found["sampler"],
        "trial_ms": found["cohort_s"] / COHORT * 1e3,
        "trial_cpu_ms": found["cohort_cpu_s"] / COHORT * 1e3,
        "first_ms": found["first_tenth"]["wall_s"] / COHORT * 1e3,
        "last_ms": found["last_tenth"]["wall_s"] / COHORT * 1e3,
        "first_bytes": found["first_tenth"]["num_bytes"] // COHORT,
        "last_bytes": found["last_tenth"]["num_bytes"] // COHORT,
        "peak_bytes": found["peak_bytes"],
    }


def _line(one: Mapping[str, Any]) -> str:
    return (
        f"{one['database']:10} {one['num_trials']:6} trials by {one['sampler']:6} "
        f"{one['trial_ms']:6.1f} ms a trial ({one['trial_cpu_ms']:.1f} ms of a core), at first "
        f"{one['first_ms']:.1f}, at last {one['last_ms']:.1f}; {one['first_bytes'] / 1e3:.1f} kB "
        f"a trial at first, {one['last_bytes'] / 1e3:.1f} at last; {MEMORY} "
        f"{one['peak_bytes'] / 1e6:.0f} MB"
    )


def summary(found: Sequence[Mapping[str, Any]]) -> str:
    """What of it is asked for, in a line for each database."""
    lines = []
    for kind in dict.fromkeys(one["database"] for one in found):
        few, *_, many = (one for one in found if one["database"] == kind)
        lines.append(
            f"{kind}: {many['trial_ms']:.1f} ms a trial among {many['num_trials']} by "
            f"{many['sampler']} (to be {WANTED_MS:g}), {many['trial_ms'] / few['trial_ms']:.2f} "
            f"times that among {few['num_trials']} by {few['sampler']} (to be {WANTED_RATIO:g}); "
            f"{MEMORY} {many['peak_bytes'] / 1e9:.2f} GB (to be {WANTED_BYTES / 1e9:g})"
        )
    return "\n".join(lines)


def as_written(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The file: seconds a trial, the memory, and what else there is of each case."""
    cases = {f"{one['num_trials']} {one['database']}": one for one in found}
    return whole(
        [row(case, one["trial_ms"] / 1e3, "s a trial") for case, one in cases.items()],
        ("ray", "optuna", "sqlalchemy"),
        limit={"s a trial": WANTED_MS / 1e3, "ratio to few": WANTED_RATIO, "bytes": WANTED_BYTES},
        memory={case: one["peak_bytes"] for case, one in cases.items()},
        breakdown=cases,
    )


def main() -> None:
    """Measure, print, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=NUM_TRIALS, help="at least two")
    parser.add_argument("--profile", action="store_true", help="where the largest's time goes")
    options = parser.parse_args()
    found = measure(options.trials, ("sqlite", "postgresql"), profile=options.profile)
    print(summary(found))
    write(OUTPUT, as_written(found))


if __name__ == "__main__":
    main()
