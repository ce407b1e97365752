import gc
from collections.abc import Iterator

import pytest

from service import __main__, cli, collecting
from service.api import serving


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
