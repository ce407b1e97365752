import gc
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import pytest

from service import __main__, cli, collecting, driver, scheduler
from service.api import serving
from service.errors import InterruptedSweepError
from service.home import Home
from service.ledger import Writer
from service.planning import Resolved
from service.room import Machine, Room


@pytest.fixture(autouse=True)
def collects_as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_a_command_collects_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    gc.set_threshold(700)
    monkeypatch.setattr(cli, "main", lambda: seen.append(gc.get_threshold()[0]))
    monkeypatch.setattr("service.stopping.leave_when_signalled", lambda: None)
    __main__.main()
    assert seen == [50_000]
    assert gc.isenabled()


def test_a_server_collects_as_any_other_program(monkeypatch: pytest.MonkeyPatch) -> None:
    class ListenedError(Exception):
        pass

    def listener(*_: object) -> None:
        raise ListenedError

    collecting.rarely()
    monkeypatch.setattr(serving, "listener", listener)
    monkeypatch.setattr("sys.argv", ["monosweep", "serve"])
    with pytest.raises(ListenedError):
        cli.main()
    assert gc.get_threshold() == collecting._PYTHONS_OWN


def test_so_does_a_driver_once_it_has_read(
    tiny_writer: Writer, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def connected(*_: object) -> AbstractContextManager[Room]:
        seen.append(gc.get_threshold()[0])
        return nullcontext(Room((Machine(num_cpus=2, memory_bytes=2**34),)))

    def run(*_: object) -> None:
        seen.append(gc.get_threshold()[0])

    resolved = Resolved(
        cohort_size=2,
        max_concurrent=1,
        sampler="tpe",
        precision="float32",
        device="cpu",
        cpus=1,
        gpus=0,
    )
    tiny_writer.record_resolved(resolved.as_json())
    monkeypatch.setattr(driver, "_connected", connected)
    monkeypatch.setattr(scheduler, "run", run)
    collecting.rarely()
    with pytest.raises(InterruptedSweepError):
        driver.train(tiny_writer.ledger, tiny_writer, home, None, [])
    assert seen == [50_000, collecting._PYTHONS_OWN[0]]


def test_numbers_that_are_somebody_elses_stay() -> None:
    gc.set_threshold(900, 5, 5)
    collecting.as_before()
    assert gc.get_threshold() == (900, 5, 5)
