"""A sweep on a real cluster of several nodes, whose workers, nodes and head are killed."""

import re
from itertools import cycle, islice, pairwise
from pathlib import Path

from nodes import Nodes, ending
from shell import LONGER, Shell, Started, numbers, wait_until, write_spec

from service.ledger import Ledger
from service.ledger.tables import ABANDONED

# Cohorts of several seconds, one at a time, so that each kill hits the one that is at work.
SPEC = {**LONGER, "max_concurrent: 1": "max_concurrent: 1, checkpoint_s: 0.25"}
# Of a cohort's attempt, the step of its newest checkpoint.
Kept = dict[tuple[str, int], int]


def kill_workers_nodes_and_head(
    folder: Path, undisturbed: Shell, num_kills: int, num_nodes: int
) -> None:
    """Kill nodes and workers in turn, each time that a cohort got farther, and see it end whole.

    The head last: the driver leaves, and the sweep goes on to its end on this machine alone.

    Args:
        folder: Where it lies.
        undisturbed: Who has run ``LONGER``, whose numbers it must have.
        num_kills: Of nodes and workers.
        num_nodes: Nodes beside the head.

    Raises:
        AssertionError: If a trial fails for it, work is lost that was kept, or numbers differ.
    """
    storage = folder / "storage"
    shell = Shell(folder / "home", {"MONOSWEEP_STORAGE": str(storage)})
    spec = str(write_spec(folder, **SPEC))
    with ending(Nodes(num_nodes)) as nodes:
        driver = shell.start("run", spec, "--address", nodes.address)
        kept = _kill(nodes, driver, storage, num_kills)
        said = driver.ends(75)
    assert "Go on with: monosweep resume tiny" in said.splitlines()[-1], said
    assert shell.json("status", "tiny")["state"] == "interrupted"
    shell.run("resume", "tiny")
    assert len(re.findall("ended without results, trying again", said)) >= num_kills, said
    rows = shell.trials("tiny")
    assert {row["state"] for row in rows} == {"complete"}, rows
    assert len([row for row in rows if row["phase"] == "search"]) == 6, rows
    cohort_ids = {row["cohort_id"] for row in rows}
    num_attempts = _check_nothing_kept_was_lost(shell, cohort_ids, kept)
    assert num_attempts >= num_kills + len(cohort_ids), f"{num_attempts} attempts"
    # Checkpoints; the networks of confirmation trials are kept elsewhere.
    assert list((storage / "cohorts").rglob("*.safetensors")) == []
    assert numbers(rows) == numbers(undisturbed.trials("tiny"))


def _kill(nodes: Nodes, driver: Started, storage: Path, num_kills: int) -> Kept:
    """What had been kept by then of every attempt."""
    kept: Kept = {}
    kills = islice(cycle((nodes.kill_node, nodes.kill_worker)), num_kills)
    for kill in (*kills, nodes.kill_head):
        num_before = len(kept)

        def got_farther(num_before: int = num_before) -> bool:
            """Whether the cohort at work has left a checkpoint since the last kill."""
            for cohort_id, (attempt, step) in _checkpoints(storage).items():
                kept[cohort_id, attempt] = step
            return len(kept) > num_before or driver.process.poll() is not None

        wait_until(got_farther)
        assert driver.process.poll() is None, driver.said()
        kill()
    return kept


def _checkpoints(storage: Path) -> dict[str, tuple[int, int]]:
    """Of each cohort that has one, the attempt and step of its newest."""
    names: dict[str, str] = {}
    for path in storage.glob("cohorts/tiny/*/*.safetensors"):
        names[path.parent.name] = max(path.stem, names.get(path.parent.name, ""))
    return {
        cohort_id: (int(attempt), int(step))
        for cohort_id, stem in names.items()
        for attempt, step in [stem.split("-")]
    }


def _check_nothing_kept_was_lost(shell: Shell, cohort_ids: set[str], kept: Kept) -> int:
    """Whatever was kept before a death was not trained again; how many attempts there were."""
    ledger = Ledger(f"sqlite:///{shell.home / 'ledger.db'}", create=False)
    num_attempts = num_left = 0
    for cohort_id in cohort_ids:
        attempts = ledger.attempts("tiny", cohort_id)
        num_attempts += len(attempts)
        for number, (attempt, following) in enumerate(pairwise(attempts), start=1):
            num_left += attempt.outcome == ABANDONED
            assert attempt.died or attempt.outcome == ABANDONED, attempt
            assert (following.first_step or 0) >= kept.get((cohort_id, number), 0), following
    assert num_left == 1, "the driver left once, with one cohort at work"
    return num_attempts
