import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, delete, update
from sqlalchemy.exc import OperationalError

from service.errors import LeaseHeldError, LeaseLostError
from service.home import Home
from service.ledger import Ledger, Writer, release, tables, take
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
    held_by(ledger, process_start=Holder.here().process_start - 100)
    take(ledger.engine, "s")


def test_a_boot_that_is_over_leaves_nobody_alive(ledger: Ledger) -> None:
    take(ledger.engine, "s")
    held_by(ledger, boot_id="before")
    take(ledger.engine, "s")


def test_another_host_is_waited_for_until_its_lease_runs_out(ledger: Ledger) -> None:
    take(ledger.engine, "s")
    held_by(ledger, host="elsewhere", pid=1)
    with pytest.raises(LeaseHeldError, match=r"on elsewhere at work, with a lease for another"):
        take(ledger.engine, "s")
    held_by(ledger, expires_at=0.0)
    take(ledger.engine, "s")


def test_who_lost_the_lease_cannot_write_and_is_told(ledger: Ledger) -> None:
    lost = Writer(ledger, take(ledger.engine, "s"))
    held_by(ledger, boot_id="before")
    take(ledger.engine, "s")
    with pytest.raises(LeaseLostError, match="another driver has taken the sweep 's'"):
        lost.enter_phase("search")
    # Optuna's own writes are checked in the same way.
    with pytest.raises(LeaseLostError):
        lost.add_trial("search", Point(settings={}, seeds=(0,)), "search-0")
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
    held_by(ledger, boot_id="before")
    impatient = {"sqlite": {"timeout": 0.1}, "postgresql": {"options": "-c lock_timeout=100"}}
    other = create_engine(ledger.url, connect_args=impatient[ledger.engine.dialect.name])
    with tables.writing(ledger.engine) as connection:
        lease.check(connection)
        with pytest.raises(OperationalError, match="lock"), other.begin() as taker:
            taker.execute(delete(tables.leases))
    other.dispose()
    take(ledger.engine, "s")
