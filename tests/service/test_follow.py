"""Following a sweep shows what the ledger says, until nobody is at work on it."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from service import follow as following
from service.commands.looking import watch
from service.errors import LedgerAwayError, SweepDeletingError
from service.follow import follow, showing
from service.home import Home
from service.ledger import Writer, release
from service.status import status
from service.trials import Trial

MakeTrial = Callable[..., Trial]


class Plain:
    """A console that is no terminal, and what was said on it."""

    def __init__(self) -> None:
        self._file = io.StringIO()
        self.console = Console(file=self._file, width=80)

    @property
    def lines(self) -> list[str]:
        return self._file.getvalue().splitlines()


def test_each_change_is_a_line_until_its_driver_leaves(
    tiny_writer: Writer, make_trial: MakeTrial, record: Callable[..., None]
) -> None:
    def ended() -> None:
        record(tiny_writer, make_trial("baseline", 0, loss=0.5))

    def left() -> None:
        release(tiny_writer.ledger.engine, tiny_writer._lease)

    happens = iter([ended, lambda: None, left])
    said = Plain()
    with showing(said.console) as show:
        found = follow(tiny_writer.ledger, "tiny", show, pause=lambda _s: next(happens)())
    assert found["state"] == "interrupted"
    assert said.lines == ["baseline: no trials yet", "baseline: 1 complete"]


def test_that_no_worker_comes_is_a_line_of_its_own(tiny_writer: Writer) -> None:
    found = status(tiny_writer.ledger, "tiny")
    waits = {**found, "waits_for_worker": True, "resolved": {"cpus": 1, "gpus": 0.0}}
    said = Plain()
    with showing(said.console) as show:
        for one in (found, waits, waits, found):
            show(one)
    assert said.lines == [
        "baseline: no trials yet",
        "waiting for a worker, baseline: no trials yet",
        "baseline: no trials yet",
    ]


def test_what_a_server_waits_after_is_told(tiny_writer: Writer) -> None:
    found = {
        **status(tiny_writer.ledger, "tiny"),
        "stage": "waiting",
        "problem": "Killed.\nNo memory.",
    }
    said = Plain()
    with showing(said.console) as show:
        show(found)
    assert said.lines == [
        "waiting, since its last driver came to nothing (No memory.), baseline: no trials yet"
    ]


def test_a_ledger_that_is_away_is_waited_for(
    tiny_writer: Writer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, answers = following.status, iter([False, True])

    def now_and_then(*arguments: object) -> object:
        if not next(answers):
            raise LedgerAwayError("the ledger does not answer.")
        return real(*arguments)

    monkeypatch.setattr(following, "status", now_and_then)
    release(tiny_writer.ledger.engine, tiny_writer._lease)
    said = Plain()
    with showing(said.console) as show:
        found = follow(tiny_writer.ledger, "tiny", show, pause=lambda _s: None)
    assert (found["state"], said.lines) == ("interrupted", [])
    assert [message.split(".")[0] for message in caplog.messages] == [
        "the ledger does not answer",
        "The ledger answers again, after 0 s",
    ]


def test_on_a_terminal_it_is_drawn_in_place(tiny_writer: Writer) -> None:
    terminal = Console(file=io.StringIO(), width=80, force_terminal=True)

    def left(_seconds: float) -> None:
        release(tiny_writer.ledger.engine, tiny_writer._lease)

    with showing(terminal) as show:
        follow(tiny_writer.ledger, "tiny", show, pause=left)
    assert "running, phase baseline" in terminal.file.getvalue()


def test_watching_a_sweep_that_is_being_deleted_says_so(
    tiny_writer: Writer, monkeypatch: pytest.MonkeyPatch, home: Home
) -> None:
    monkeypatch.setenv("MONOSWEEP_HOME", str(home.path))
    tiny_writer.begin_deletion()
    release(tiny_writer.ledger.engine, tiny_writer._lease)
    with pytest.raises(SweepDeletingError, match="monosweep delete tiny"):
        watch("tiny")
