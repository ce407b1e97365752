"""A sweep's driver is asked to leave from another process, and waited for."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict

import pytest
from sqlalchemy import insert, update

from service.dismissal import dismiss
from service.errors import SweepNotFoundError, UserError
from service.ledger import Ledger, Writer, queue, tables
from service.ledger.holder import Holder

# Gives the sweep back when it is asked to leave, as a driver does.
DRIVER = """
import signal, sys
from service.ledger import Ledger, release, take
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
ledger = Ledger(sys.argv[1], create=False)
lease = take(ledger.engine, "tiny")
print("at work", flush=True)
signal.sigwait([signal.SIGTERM])
release(ledger.engine, lease)
print("left", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def ledger(tiny_writer: Writer) -> Ledger:
    """With the tiny sweep, at which nobody is at work any more."""
    with tiny_writer.ledger.engine.begin() as connection:
        connection.execute(tables.leases.delete())
    return tiny_writer.ledger


@pytest.fixture
def driver(ledger: Ledger) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, ledger.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    yield process
    process.kill()
    process.communicate()


def hold(ledger: Ledger, **changes: object) -> None:
    """Pretend that a process like this one is at work."""
    holder = {**asdict(Holder.here()), **changes}
    with ledger.engine.begin() as connection:
        connection.execute(
            insert(tables.leases).values(
                sweep="tiny", token="t", expires_at=tables.time_now(connection) + 60, **holder
            )
        )


def test_it_leaves_and_is_waited_for(ledger: Ledger, driver: "subprocess.Popen[str]") -> None:
    assert dismiss(ledger, "tiny").state == "interrupted"
    assert driver.stdout is not None
    # It has given the sweep back, and may go on with something else.
    assert driver.stdout.readline() == "left\n"
    assert driver.poll() is None


def test_who_got_a_drivers_id_is_left_alone(
    ledger: Ledger, driver: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(update(tables.leases).values(process_start=1.0))
    Holder(socket.gethostname(), Holder.here().boot_id, driver.pid, 1.0).ask_to_leave()
    with pytest.raises(UserError, match=r"found none at work on tiny \(interrupted\)"):
        dismiss(ledger, "tiny")
    assert driver.poll() is None


def test_where_nobody_is_at_work(ledger: Ledger) -> None:
    with pytest.raises(UserError, match=r"found none at work on tiny \(interrupted\)"):
        dismiss(ledger, "tiny")
    with pytest.raises(SweepNotFoundError, match="'other'"):
        dismiss(ledger, "other")


def test_a_driver_elsewhere_is_named(ledger: Ledger) -> None:
    hold(ledger, host="elsewhere", pid=17)
    with pytest.raises(UserError, match=r"process 17 on elsewhere at work on tiny\. Stop it there"):
        dismiss(ledger, "tiny")


def test_a_servers_sweep_is_stopped_through_the_server(ledger: Ledger) -> None:
    hold(ledger, host="elsewhere")
    queue.want(ledger.engine, "tiny", owner="ada")
    with pytest.raises(UserError, match="through it, found tiny in its queue"):
        dismiss(ledger, "tiny")
