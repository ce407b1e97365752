import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, delete, event, update
from sqlalchemy.exc import OperationalError

from service.errors import LeaseHeldError, LeaseLostError, LedgerAwayError
from service.home import Home
from service.ledger import Ledger, Renewal, Writer, release, tables, take
from service.ledger.lease import Holder, renew
from service.trials import Point


@pytest.fixture
def ledger(home: Home) -> Iterator[Ledger]:
    with closing(Ledger(home.ledger_url)) as ledger:
        ledger.create_sweep("s", spec_text="", settings={}, versions={}, num_trials=1)
        yield ledger


def held_by(ledger: Ledger, **changes: object) -> None:
    """Pretend that somebody else holds the lease."""
    with ledger.engine.begin() as connection:
        connection.execute(update(tables.leases).values(**changes))


def held_by_a_dead_process(ledger: Ledger) -> None:
    """Pretend that the holder has ended, and that this process got its id."""
    held_by(ledger, process_start=Holder.here().process_start - 100)


def test_a_live_driver_is_not_disturbed(ledger: Ledger) -> None:
    take(ledger.engine, "s")
    with pytest.raises(LeaseHeldError, match=rf"process {os.getpid()} on {socket.gethostname()}"):
        take(ledger.engine, "s")


def test_a_dead_process_on_this_host_is_replaced_at_once(ledger: Ledger) -> None:
    take(ledger.engine, "s")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    held_by(ledger, pid=dead.pid)
    assert not ledger.sweep("s").is_live
    take(ledger.engine, "s")


def test_a_process_that_got_a_dead_ones_id_is_not_taken_for_it(ledger: Ledger) -> None:
    take(ledger.engine, "s")
    held_by_a_dead_process(ledger)
    take(ledger.engine, "s")


BOOT, _, THE_REST = Holder.here().boot_id.partition(":")


@pytest.mark.parametrize("host", [socket.gethostname(), "elsewhere"])
@pytest.mark.parametrize(
    "boot_id",
    [
        # A copy of this machine, or this very machine before it was started anew.
        f"another:{THE_REST}",
        "another",
        # A container beside this one, whose processes cannot be seen.
        f"{BOOT}:1",
    ],
)
def test_a_process_that_cannot_be_looked_for_may_be_alive(
    ledger: Ledger, host: str, boot_id: str
) -> None:
    take(ledger.engine, "s")
    held_by(ledger, host=host, boot_id=boot_id)
    assert ledger.sweep("s").is_live
    with pytest.raises(LeaseHeldError, match="at work"):
        take(ledger.engine, "s", lambda _: held_by(ledger, expires_at=time.time() + 31.0))


def test_another_host_is_waited_for_until_its_lease_runs_out(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    take(ledger.engine, "s")
    held_by(ledger, host="elsewhere", pid=7)
    pauses: list[float] = []

    def run_out_after_three(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            with ledger.engine.begin() as connection:
                connection.execute(delete(tables.leases))

    lease = take(ledger.engine, "s", run_out_after_three)
    assert pauses == [1.0, 1.0, 1.0]
    assert renew(ledger.engine, lease)
    (said,) = caplog.messages
    assert "process 7 on elsewhere, gave no sign of its end: its lease is waited for (30 s)" in said


def test_another_host_that_renews_its_lease_is_at_work(ledger: Ledger) -> None:
    take(ledger.engine, "s")
    held_by(ledger, host="elsewhere", pid=7)
    with pytest.raises(LeaseHeldError, match="process 7 on elsewhere at work, with a lease for an"):
        take(ledger.engine, "s", lambda _: held_by(ledger, expires_at=time.time() + 31.0))


def test_waiting_for_another_host_can_be_given_up(ledger: Ledger) -> None:
    take(ledger.engine, "s")
    held_by(ledger, host="elsewhere", pid=7)

    def give_up(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(ledger.engine, "s", give_up)
    assert ledger.sweep("s").is_live


def test_a_lease_of_another_host_that_has_run_out_is_free(ledger: Ledger) -> None:
    take(ledger.engine, "s")
    held_by(ledger, host="elsewhere", expires_at=0.0)
    take(ledger.engine, "s")


def test_a_driver_is_told_soon_that_its_lease_was_taken(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.ledger.lease.RENEWAL_S", 0.01)
    lost = threading.Event()
    with Renewal(ledger.engine, take(ledger.engine, "s"), lost.set):
        assert not lost.wait(0.1)
        held_by(ledger, token="another")
        assert lost.wait(10)


def test_who_lost_the_lease_cannot_write_and_is_told(ledger: Ledger) -> None:
    lost = Writer(ledger, take(ledger.engine, "s"))
    lost.create_studies(["maximize"])
    held_by_a_dead_process(ledger)
    take(ledger.engine, "s")
    with pytest.raises(LeaseLostError, match="another driver has taken the sweep 's'"):
        lost.enter_phase("search")
    # Optuna's own writes are checked in the same way.
    with pytest.raises(LeaseLostError):
        lost.add_trials("search", 0, [Point(settings={}, seeds=(0,))], "search-0")
    assert ledger.trials("s") == []
    assert ledger.sweep("s").phase == "baseline"


def test_a_lost_lease_is_not_renewed(ledger: Ledger) -> None:
    lease = take(ledger.engine, "s")
    assert renew(ledger.engine, lease)
    assert not renew(ledger.engine, replace(lease, token="another"))


def test_a_released_sweep_is_free(ledger: Ledger) -> None:
    release(ledger.engine, take(ledger.engine, "s"))
    assert not ledger.sweep("s").is_live
    take(ledger.engine, "s")


def test_what_a_write_has_read_stays_true_until_it_commits(ledger: Ledger) -> None:
    """A driver in the middle of a write cannot lose the sweep before its commit."""
    lease = take(ledger.engine, "s")
    held_by_a_dead_process(ledger)
    impatient = {"sqlite": {"timeout": 0.1}, "postgresql": {"options": "-c lock_timeout=100"}}
    other = create_engine(ledger.url, connect_args=impatient[ledger.engine.dialect.name])
    with tables.writing(ledger.engine) as connection:
        lease.check(connection)
        with pytest.raises(OperationalError, match="lock"), other.begin() as taker:
            taker.execute(delete(tables.leases))
    other.dispose()
    take(ledger.engine, "s")


@pytest.mark.parametrize("new_ledger_url", ["postgresql"], indirect=True)
def test_a_driver_that_is_paused_in_a_write_does_not_keep_the_next_one_out(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL holds a lock until its owner's end; on SQLite the next one gives up in a while."""
    lease = take(ledger.engine, "s")
    held_by_a_dead_process(ledger)
    monkeypatch.setattr("service.ledger.connections.IDLE_TIMEOUT_S", 0.2)
    ledger.engine.dispose()
    with pytest.raises(LedgerAwayError), tables.writing(ledger.engine) as paused:
        lease.check(paused)
        paused.execute(update(tables.sweeps).values(phase="search"))
        take(ledger.engine, "s")
    assert ledger.sweep("s").phase == "baseline"


def test_who_does_not_wait_leaves_it_to_a_holder_of_whom_nothing_is_known(ledger: Ledger) -> None:
    take(ledger.engine, "s")
    held_by(ledger, host="elsewhere", boot_id="x")
    began = time.monotonic()
    with pytest.raises(LeaseHeldError, match="on elsewhere at work"):
        take(ledger.engine, "s", waits=False)
    assert time.monotonic() - began < 5


def test_all_that_are_driven_are_known_at_once(ledger: Ledger) -> None:
    for name in ("t", "u", "v"):
        ledger.create_sweep(name, spec_text="", settings={}, versions={}, num_trials=1)
    take(ledger.engine, "s")
    take(ledger.engine, "t")
    asked: list[str] = []

    @event.listens_for(ledger.engine, "before_cursor_execute")
    def noted(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    live = {record.name: record.is_live for record in ledger.sweeps()}
    assert live == {"s": True, "t": True, "u": False, "v": False}
    # However many there are, the leases are read once, and the sweeps once.
    assert len([one for one in asked if one.startswith("SELECT")]) == 2
    held_by_a_dead_process(ledger)
    assert not any(record.is_live for record in ledger.sweeps())
