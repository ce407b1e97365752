"""Sweeps that a real Ray head's jobs drive for a server, with no hand on them."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from ray_head import CLIENT, RayHead
from shell import FREE, TINY, Shell, numbers, wait_until

from service.dispatch.reconciler import NOT_TAKEN
from service.home import Home
from service.ledger import ABANDONED, Attempt, Ledger, NewSweep, queue
from service.machine import versions
from service.spec import parse_spec

SECONDS = 240.0
ENDLESS = {
    "num_steps: 512": "num_steps: 1048576",
    "learning_rate: 0.02": "learning_rate: 0.005",
    "max_concurrent: 1": "max_concurrent: 1, checkpoint_s: 1",
}
DISPATCHING = Path(__file__).parent / "dispatching.py"


@dataclass(frozen=True)
class Served:
    """A head, a server's reconciler beside it, and the ledger between them."""

    head: RayHead
    shell: Shell
    home: Home
    ledger: Ledger

    def submit(self, name: str, replaced: dict[str, str]) -> None:
        text = TINY.replace("SPACE", FREE).replace("name: tiny", f"name: {name}")
        for old, new in replaced.items():
            text = text.replace(old, new)
        spec = parse_spec(text, origin=name)
        new_sweep = NewSweep(
            name=name,
            spec_text=spec.text,
            settings=spec.settings(),
            versions={**versions(), "storage": self.home.storage_place},
            num_trials=spec.search.num_trials,
        )
        assert queue.submit(self.ledger.engine, new_sweep, owner="ada")

    def entry(self, name: str) -> queue.Entry:
        found = queue.entry(self.ledger.engine, name)
        assert found is not None
        return found

    def until_finished(self, name: str) -> None:
        wait_until(lambda: self.ledger.sweep(name).state == "finished", SECONDS)

    def driver(self, name: str) -> int:
        with closing(sqlite3.connect(self.shell.home / "ledger.db", timeout=30)) as connection:
            query = "SELECT pid FROM monosweep_leases WHERE sweep = ?"
            return int(connection.execute(query, (name,)).fetchone()[0])


def dispatching(shell: Shell, address: str, log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, str(DISPATCHING), address], env=shell.environment(), stderr=file
        )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    shell = Shell(folder / "home", CLIENT)
    home = Home(
        path=shell.home,
        ledger_url=f"sqlite:///{shell.home / 'ledger.db'}",
        tracking_uri="",
        storage=str(shell.home),
    )
    with (
        closing(Ledger(home.ledger_url)) as ledger,
        closing(RayHead(shell.environment(), num_cpus=3)) as head,
    ):
        served = Served(head, shell, home, ledger)
        served.submit("stopped", ENDLESS)
        served.submit("killed", {})
        served.submit("untouched", {})
        log = folder / "dispatching.txt"
        process = dispatching(shell, head.address, log)
        try:
            yield served
        finally:
            process.kill()
            process.wait()
        assert "Traceback" not in log.read_text()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_driver_that_is_killed_is_followed_by_another_to_the_same_numbers(
    served: Served, finished: Shell
) -> None:
    wait_until(lambda: served.ledger.sweep("killed").phase == "search", SECONDS)
    os.kill(served.driver("killed"), signal.SIGKILL)
    wait_until(lambda: served.entry("killed").problem, SECONDS)
    assert served.entry("killed").problem == "its driver was killed by signal 9."
    served.until_finished("killed")
    assert served.entry("killed").num_starts == 2
    assert numbers(served.shell.trials("killed")) == numbers(finished.trials("tiny"))


@pytest.mark.timeout(600)
def test_a_submission_ends_finished_with_no_hand_on_it(served: Served, finished: Shell) -> None:
    served.until_finished("untouched")
    entry = served.entry("untouched")
    assert (entry.num_starts, entry.num_failures, entry.problem) == (1, 0, None)
    assert numbers(served.shell.trials("untouched")) == numbers(finished.trials("tiny"))


@pytest.mark.timeout(600)
def test_who_is_stopped_leaves_checkpoints_and_goes_on_from_them_when_wanted(
    served: Served,
) -> None:
    cohort = served.shell.home / "cohorts" / "stopped" / "baseline-0"
    wait_until(lambda: any(cohort.glob("*.safetensors")), SECONDS)
    queue.stop(served.ledger.engine, "stopped")
    wait_until(lambda: not served.ledger.sweep("stopped").is_live, SECONDS)
    assert any(cohort.glob("*.safetensors"))
    (attempt,) = served.ledger.attempts("stopped")
    # In good order: a killed driver would not have told.
    assert attempt.outcome == ABANDONED
    queue.want(served.ledger.engine, "stopped", owner="ada")
    wait_until(lambda: _last(served).first_step, SECONDS)
    assert (_last(served).cohort_id, _last(served).number) == ("baseline-0", 2)
    entry = served.entry("stopped")
    assert (entry.num_starts, entry.num_failures, entry.problem) == (2, 0, None)


def _last(served: Served) -> Attempt:
    return served.ledger.attempts("stopped")[-1]


@pytest.mark.parametrize("token", [{}, {"RAY_AUTH_TOKEN": "another one, of another cluster"}])
def test_without_the_clusters_token_nothing_is_started_and_that_is_told(
    served: Served, tmp_path: Path, token: dict[str, str]
) -> None:
    shell = Shell(tmp_path / "home", {"RAY_AUTH_MODE": "token", **token})
    with closing(Ledger(f"sqlite:///{shell.home / 'ledger.db'}")) as ledger:
        new = NewSweep(name="s", spec_text="", settings={}, versions={}, num_trials=4)
        queue.submit(ledger.engine, new, owner="ada")
        process = dispatching(shell, served.head.address, tmp_path / "said")
        try:
            wait_until(lambda: "refused" in (tmp_path / "said").read_text(), SECONDS)
        finally:
            process.kill()
            process.wait()
        (entry,) = queue.entries(ledger.engine)
    said = (tmp_path / "said").read_text()
    assert "the Ray cluster must let this server in, found it refused: the token is" in said
    assert "another cluster" not in said
    assert entry.num_failures == 0
    assert entry.problem == NOT_TAKEN
