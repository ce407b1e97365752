"""Take MLflow and PostgreSQL away from a sweep, and see that it neither waits nor loses anything.

Run by ``make outages``, some 5 minutes on 2 cores: MLflow's server is killed for a minute, then
PostgreSQL's is restarted twice. Cohort for cohort the time is compared with that of a sweep of the
same file on servers of its own that nobody disturbs, at the same time: what else the machine does
meets both.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path += [str(Path(__file__).parents[1] / name) for name in ("integration", "servers")]

from mlflow_shows import check_mlflow
from object_store import ObjectStore
from postgres import Postgres
from servers_of_a_sweep import Servers, restart, serving
from shell import Shell, Started, numbers, write_spec
from sqlalchemy import create_engine, select

from service.ledger.tables import RECORDED, attempts

SPACE = "{initial_bias: {float: [-1.0, 0.0]}}"
SPEC = {
    "num_steps: 512": "num_steps: 4096",
    "learning_rate: 0.02": "learning_rate: 0.005",
}
COHORT = 2
TRIALS_BEFORE = 16
AWAY_S = 60.0
GIVE_UP_S = 900.0


def ends(url: str) -> list[float]:
    """When the cohorts of the search ended, in their order, by the server's clock."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = connection.scalars(
            select(attempts.c.ended_at)
            .where(attempts.c.cohort_id.startswith("search-"), attempts.c.outcome == RECORDED)
            .order_by(attempts.c.ended_at)
        ).all()
    engine.dispose()
    return list(found)


@contextmanager
def sweep_on_servers(folder: Path) -> Iterator[tuple[Shell, Servers]]:
    """What a sweep needs, ended with the block."""
    folder.mkdir()
    with closing(Postgres()) as postgres, closing(ObjectStore()) as object_store:
        postgres.start()
        object_store.start()
        with serving(postgres, object_store) as servers:
            yield Shell(folder / "home", servers.variables), servers


def begin(shell: Shell, num_trials: int) -> Started:
    """Start the sweep."""
    spec = {**SPEC, "num_trials: 4": f"num_trials: {num_trials}"}
    return shell.start("run", str(write_spec(shell.home.parent, SPACE, **spec)))


def disturb(driver: Started, servers: Servers) -> tuple[float, float]:
    """Take MLflow away, then restart PostgreSQL twice; from when and until when MLflow was away."""
    driver.until(f"search {TRIALS_BEFORE}/")
    servers.mlflow.stop()
    from_s = time.time()
    time.sleep(AWAY_S)
    until_s = time.time()
    servers.mlflow.start()
    driver.until("MLflow answers again")
    for _ in range(2):
        restart(servers.postgres, driver)
    return from_s, until_s


def speeds(theirs: Sequence[float], ours: Sequence[float], away: tuple[float, float]) -> None:
    """Print trials a minute before, during and after the outage, and of the same cohorts alone."""
    inside = [number for number, at in enumerate(ours) if away[0] <= at <= away[1]]
    parts = {
        "before": (0, inside[0] - 1),
        "MLflow away": (inside[0], inside[-1]),
        "after, PostgreSQL restarted": (inside[-1], len(ours) - 1),
    }
    print(f"{'trials a minute':28} {'cohorts':>9} {'disturbed':>10} {'alone':>7} {'ratio':>6}")
    for name, (first, last) in parts.items():
        rates = [60.0 * COHORT * (last - first) / (at[last] - at[first]) for at in (ours, theirs)]
        ratio = rates[0] / rates[1]
        print(
            f"{name:28} {first:4}-{last:4} {rates[0]:10.1f} {rates[1]:7.1f} {ratio:6.2f}",
            flush=True,
        )


def check(shell: Shell, servers: Servers, expected: list[Mapping[str, Any]]) -> None:
    """Nothing lost, nothing doubled, the same numbers.

    Raises:
        AssertionError: If anything is amiss.
    """
    rows = shell.trials("tiny")
    assert numbers(rows) == expected, "other numbers than undisturbed"
    assert {row["state"] for row in rows} == {"complete"}, "a trial did not complete"
    check_mlflow(shell, "tiny", servers.mlflow.uri)
    print(f"{len(rows)} trials complete, each with one run and each point once")


def main() -> None:
    """Run both sweeps, compare and check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=120, help="enough for two minutes and more")
    options = parser.parse_args()
    with (
        TemporaryDirectory(prefix="monosweep-outages-") as name,
        sweep_on_servers(Path(name) / "alone") as (alone, theirs),
        sweep_on_servers(Path(name) / "disturbed") as (shell, ours),
    ):
        beside, driver = begin(alone, options.trials), begin(shell, options.trials)
        away = disturb(driver, ours)
        driver.ends(seconds=GIVE_UP_S)
        beside.ends(seconds=GIVE_UP_S)
        speeds(*(ends(one.variables["MONOSWEEP_LEDGER_URL"]) for one in (theirs, ours)), away)
        check(shell, ours, numbers(alone.trials("tiny")))
        said = driver.said().splitlines()
        print(*(line for line in said if "again, after" in line), sep="\n")


if __name__ == "__main__":
    main()
