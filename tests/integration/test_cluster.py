"""A sweep on a real cluster of several nodes, whose workers and nodes are killed."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from nodes import Nodes, ending
from shell import Shell, wait_until, write_spec

from service.ledger import Ledger

NUM_KILLS = 10
# Cohorts of several seconds, one at a time, so that each kill hits the one that is at work.
SPEC = {
    "num_steps: 512": "num_steps: 32768",
    "max_concurrent: 1": "max_concurrent: 1, checkpoint_s: 0.5",
}
NUMBERS = ("trial_id", "state", "seeds", "loss", "monosemantic_per_feature", "mean_bias")


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with ending(Nodes(2)) as found:
        yield found


def checkpoints(storage: Path) -> dict[str, tuple[int, int]]:
    """Of each cohort that has one, the attempt and step of its newest."""
    names: dict[str, str] = {}
    for path in storage.glob("cohorts/tiny/*/*.safetensors"):
        names[path.parent.name] = max(path.stem, names.get(path.parent.name, ""))
    return {
        cohort_id: (int(attempt), int(step))
        for cohort_id, stem in names.items()
        for attempt, step in [stem.split("-")]
    }


@pytest.mark.timeout(400)
def test_workers_and_nodes_may_be_killed_as_often_as_they_like(
    nodes: Nodes, tmp_path: Path
) -> None:
    storage = tmp_path / "storage"
    shell = Shell(tmp_path / "home", {"MONOSWEEP_STORAGE": str(storage)})
    driver = shell.start("run", str(write_spec(tmp_path, **SPEC)), "--address", nodes.address)
    kept: dict[tuple[str, int], int] = {}
    for number in range(NUM_KILLS):
        num_before = len(kept)

        def got_farther(num_before: int = num_before) -> bool:
            """Whether the cohort at work has left a checkpoint since the last kill."""
            for cohort_id, (attempt, step) in checkpoints(storage).items():
                kept[cohort_id, attempt] = step
            return len(kept) > num_before or driver.process.poll() is not None

        wait_until(got_farther)
        assert driver.process.poll() is None, driver.said()
        nodes.kill_worker() if number % 2 else nodes.kill_node()
    said = driver.ends()
    assert len(re.findall("ended without results, trying again", said)) >= NUM_KILLS
    rows = shell.trials("tiny")
    assert {row["state"] for row in rows} == {"complete"}
    assert len([row for row in rows if row["phase"] == "search"]) == 4
    # Whatever was kept before a death was not trained again.
    ledger = Ledger(f"sqlite:///{shell.home / 'ledger.db'}", create=False)
    num_attempts = 0
    for cohort_id in {row["cohort_id"] for row in rows}:
        attempts = ledger.attempts("tiny", cohort_id)
        num_attempts += len(attempts)
        for number, (attempt, following) in enumerate(pairwise(attempts), start=1):
            assert attempt.died
            assert (following.first_step or 0) >= kept.get((cohort_id, number), 0)
    assert num_attempts >= NUM_KILLS + len({row["cohort_id"] for row in rows})
    assert list(storage.rglob("*.safetensors")) == []
    # The numbers of a sweep that nobody disturbed.
    alone = Shell(tmp_path / "alone")
    alone.run("run", str(write_spec(tmp_path, **SPEC)))
    assert [{name: row[name] for name in NUMBERS} for row in rows] == [
        {name: row[name] for name in NUMBERS} for row in alone.trials("tiny")
    ]
