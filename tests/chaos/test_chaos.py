"""The short form of ``make chaos``, and checks that it is able to find something."""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from aims import AIMS, CHECKPOINT_WRITE, IN_PHASE, LEDGER_WRITE, Attack
from chaos import AIMED_AT, STOPPED_EARLY, Chaos, deck, unhit
from victim import NAME, NOTHING_YET, Victim
from wholeness import AmissError, check_is_kept, check_is_whole

from service.errors import LedgerError
from service.ledger import Ledger
from service.trials import PHASES


def test_aims_are_of_every_kind_and_let_a_sweep_come_to_each_phase() -> None:
    aims = deck(100, Random(0))
    wanted = {"moment": 30, "checkpoint": 20, "ledger": 20}
    assert Counter(aims) == {**wanted, "baseline": 10, "search": 10, "confirmation": 10}
    assert [aim for aim in aims if aim in PHASES] == list(PHASES) * 10
    assert aims[10:20] != aims[20:30]


def test_only_who_has_a_cohort_at_work_is_hit_in_its_phase() -> None:
    hits = Counter({(CHECKPOINT_WRITE, "baseline"): 1, (LEDGER_WRITE, "search"): 1})
    assert unhit(hits) == {f"{IN_PHASE}: search", f"{IN_PHASE}: confirmation"}


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_sweep_that_is_killed_again_and_again_ends_whole(tmp_path: Path) -> None:
    chaos = Chaos(tmp_path, seed=1, specs=[STOPPED_EARLY])
    # The first checkpoint is the baseline's.
    aims = [aim for aim in AIMED_AT.values() if aim != "baseline"]
    assert chaos.kill(aims).total() == len(aims)
    assert unhit(chaos.pursue()) == set()


def test_what_was_left_behind_is_found(tmp_path: Path) -> None:
    """A sweep that was killed once and never resumed is not whole."""
    victim = Victim(tmp_path)
    driver = victim.start()
    assert AIMS["search"](Attack(victim, driver, 0.0, Random(0))) == IN_PHASE
    with pytest.raises(AmissError, match="budget: "):
        check_is_whole(victim)
    # As if it had begun anew.
    before = victim.trials()
    check_is_kept(victim, before)
    assert before[0].result is not None
    another = replace(before[0].result, num_steps=before[0].result.num_steps + 1)
    with pytest.raises(AmissError, match="baseline/0 has another result"):
        check_is_kept(victim, [replace(before[0], result=another), *before[1:]])


def test_a_ledger_that_cannot_be_read_is_not_taken_for_one_without_trials(tmp_path: Path) -> None:
    victim = Victim(tmp_path)
    victim.shell.home.mkdir()
    assert victim.trials() == []
    url = f"sqlite:///{victim.shell.home / 'ledger.db'}"
    ledger = Ledger(url)
    assert (victim.phase(), victim.trials()) == (NOTHING_YET, [])
    ledger.create_sweep(NAME, spec_text="", settings={}, versions={}, num_trials=4)
    assert (victim.phase(), victim.trials()) == ("baseline", [])
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE monosweep_version SET version = 99")
    ledger.close()
    for look in (victim.phase, victim.trials):
        with pytest.raises(LedgerError, match="found 99"):
            look()
