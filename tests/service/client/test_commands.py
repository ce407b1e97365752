"""The commands against a server, as a user meets them: the same as without one."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from service.ledger import Writer, queue, release, take

Call = Callable[..., Any]
Become = Callable[[str], None]
_OVER = {"stage": "stopped", "state": "interrupted", "phase": "baseline"}


@pytest.fixture(autouse=True)
def emptied(running: Any) -> Iterator[None]:
    yield
    running.empty_queue()


@pytest.fixture
def tiny_file(environment: Path, tiny_text: str) -> Path:
    path = environment / "tiny.yaml"
    path.write_text(tiny_text)
    return path


def here(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user sits where the server's own home is, and asks that."""
    monkeypatch.delenv("MONOSWEEP_SERVER", raising=False)
    monkeypatch.setenv("MONOSWEEP_HOME", str(running.home.path))


def refused(said: Any, *words: str, code: int = 2) -> None:
    assert (said.code, said.out) == (code, ""), said
    assert "Traceback" not in said.err
    for word in words:
        assert word in said.message


def without_mlflow(text: str) -> list[str]:
    return [line for line in text.splitlines() if "monosweep ui" not in line]


def test_what_is_read_is_the_same_as_without_a_server(
    running: Any, monosweep: Call, at_server: Become, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = (["status", "drawn"], ["best", "drawn"])
    as_json = (["status", "drawn", "--json"], ["best", "drawn", "--json"])
    at_server("vic")
    there = [monosweep(*words) for words in commands]
    known = [monosweep(*words).json() for words in as_json]
    table = monosweep("status").out
    here(running, monkeypatch)
    for words, said in zip(commands, there, strict=True):
        alone = monosweep(*words)
        assert (said.code, said.err) == (0, "")
        assert said.out.splitlines() == without_mlflow(alone.out)
    for words, found in zip(as_json, known, strict=True):
        alone = monosweep(*words).json()
        assert {key: found[key] for key in alone} == alone
    assert (known[0]["stage"], known[0]["owner"]) == ("unmanaged", None)
    assert "drawn" in table


def test_tables_and_page_are_the_same_as_without_a_server(
    running: Any, monosweep: Call, at_server: Become, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_server("vic")
    said = monosweep("export", "drawn", "--output", "there")
    assert said.out == "there/trials.parquet\nthere/curves.parquet\nthere/neurons.parquet\n"
    assert monosweep("report", "drawn").out == "drawn.html\n"
    assert Path("drawn.html").read_text().startswith("<!DOCTYPE html>")
    refused(monosweep("report", "drawn", "--output", "there/trials.parquet/x"), "--output must be")
    here(running, monkeypatch)
    assert monosweep("export", "drawn", "--output", "here").code == 0
    for table in ("trials", "curves", "neurons"):
        assert pq.read_table(f"there/{table}.parquet") == pq.read_table(f"here/{table}.parquet")


def test_submitting_says_how_to_go_on(monosweep: Call, at_server: Become, tiny_file: Path) -> None:
    at_server("ada")
    said = monosweep("submit", "tiny.yaml", "--name", "mine", "--priority", "3")
    assert (said.code, said.out) == (0, "mine\n")
    assert "Submitted the sweep mine (queued (number 1)). " in said.message
    assert said.message.endswith("Follow it with: monosweep watch mine")
    said = monosweep("submit", "tiny.yaml", "--name", "mine")
    assert (said.code, said.out) == (0, "mine\n")
    assert "The server has the very sweep mine (queued" in said.message
    said = monosweep("status", "mine")
    assert said.out.splitlines()[:2] == [
        "mine  queued (number 1), phase baseline",
        "server   submitted by ada, priority 3",
    ]
    said = monosweep("submit", "quickstart")
    assert (said.code, said.out) == (0, "quickstart\n")


def test_a_server_named_by_an_option_is_named_again(
    running: Any, monosweep: Call, monkeypatch: pytest.MonkeyPatch, tiny_file: Path
) -> None:
    monkeypatch.setenv("MONOSWEEP_TOKEN", running.tokens["ada"])
    said = monosweep("submit", "tiny.yaml", "--name", "named", "--server", running.url)
    assert said.message.endswith(f"monosweep watch named --server {running.url}")
    said = monosweep("best", "drawn", "--server", running.url)
    assert f"monosweep report drawn --server {running.url}  writes" in said.out


def test_mistakes_in_a_file_are_found_before_anything_is_sent(
    monosweep: Call, tiny_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONOSWEEP_SERVER", "http://127.0.0.1:9")
    tiny_file.write_text(tiny_file.read_text().replace("num_seeds: 2}\nobj", "seeds: 2}\nobj"))
    refused(monosweep("submit", "tiny.yaml"), "tiny.yaml", "num_seeds", "line 6")
    refused(monosweep("submit", "nowhere.yaml"), "A sweep must be a file or the name")


def test_what_the_server_does_not_take(
    monosweep: Call, at_server: Become, tiny_file: Path, running: Any
) -> None:
    at_server("ada")
    tiny_file.write_text(tiny_file.read_text().replace("num_trials: 4", "num_trials: 101"))
    refused(monosweep("submit", "tiny.yaml"), "must be at most 100 on this server, found 101")
    refused(monosweep("submit", "tiny.yaml", "--priority", "101"), "priority")
    tiny_file.write_text(tiny_file.read_text().replace("num_trials: 101", "num_trials: 5"))
    refused(monosweep("submit", "tiny.yaml", "--name", "drawn"), "'drawn'", "another name: --name")
    at_server("vic")
    refused(monosweep("submit", "tiny.yaml"), "submitter")


def test_who_is_not_let_in(
    running: Any, monosweep: Call, at_server: Become, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_server("vic")
    monkeypatch.delenv("MONOSWEEP_TOKEN")
    for words in (["status"], ["watch", "drawn"], ["export", "drawn", "--output", "x"]):
        refused(monosweep(*words), "Set MONOSWEEP_TOKEN to it, or MONOSWEEP_TOKEN_FILE")
    monkeypatch.setenv("MONOSWEEP_TOKEN", "monosweep_0_nobody")
    said = monosweep("status")
    refused(said, "Set MONOSWEEP_TOKEN")
    assert "nobody" not in said.err


def test_a_server_that_is_away(monosweep: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONOSWEEP_SERVER", "http://127.0.0.1:9")
    for words in (
        ["status"],
        ["best", "tiny"],
        ["stop", "tiny"],
        ["resume", "tiny"],
        ["logs", "t"],
    ):
        said = monosweep(*words)
        refused(said, "the server does not answer: ", "(http://127.0.0.1:9)", code=1)
        assert said.message.endswith(f"When it answers: monosweep {' '.join(words)}")
        said = monosweep(*words, "--server", "nonsense")
        refused(said, "a server must be named by a URL such as")


def test_stopping_resuming_and_extending(
    running: Any, monosweep: Call, at_server: Become, tiny_file: Path
) -> None:
    at_server("ada")
    monosweep("submit", "tiny.yaml", "--name", "led")
    said = monosweep("stop", "led")
    assert (said.code, said.out) == (0, "")
    assert said.message == (
        "Stopped the sweep led (phase baseline). Go on with it: monosweep resume led"
    )
    assert "Go on with it: monosweep resume led" in monosweep("status", "led").out
    said = monosweep("watch", "led")
    refused(said, "Nobody is at work on the sweep led (stopped, phase baseline).", code=75)
    assert "Go on with it: monosweep resume led" in monosweep("best", "led").out
    said = monosweep("resume", "led")
    assert (said.code, said.out) == (0, "")
    assert said.message == (
        "The server goes on with the sweep led (queued (number 1)). "
        "Follow it with: monosweep watch led"
    )
    assert monosweep("resume", "led", "--num-trials", "9").code == 0
    assert monosweep("status", "led", "--json").json()["num_trials_wanted"] == 9
    refused(monosweep("resume", "led", "--num-trials", "3"), "can be extended, never shortened")
    refused(monosweep("resume", "led", "--accept-changes"), "found --accept-changes")
    said = monosweep("resume", "led", "--server", running.url, "--address", "auto")
    refused(said, "found --address")
    # Without the option it is a driver, for which this home's ledger counts.
    refused(monosweep("resume", "led", "--address", "auto"), "must be a ledger to read")
    at_server("eve")
    refused(monosweep("stop", "led"), "led")
    refused(monosweep("delete", "led", "--yes"), "led")


def test_a_finished_one_has_its_verdict_again(monosweep: Call, at_server: Become) -> None:
    at_server("ada")
    said = monosweep("resume", "drawn")
    assert said.code == 0
    assert "The sweep drawn is finished: its verdict again." in said.message
    assert said.out == monosweep("best", "drawn").out == monosweep("watch", "drawn").out
    refused(monosweep("stop", "drawn"), "drawn")


@pytest.mark.parametrize("end", ["finished", "failed"])
def test_waiting_to_the_end(
    running: Any, monosweep: Call, at_server: Become, tiny_file: Path, end: str
) -> None:
    at_server("ada")
    engine, name = running.ledger.engine, f"waited-{end}"
    verdict = {**running.ledger.sweep("drawn").verdict, "name": name}

    def drive() -> None:
        """A driver with a short life."""
        while queue.entry(engine, name) is None:
            time.sleep(0.05)
        lease = take(engine, name)
        with closing(Writer(running.ledger, lease)) as writer:
            if end == "finished":
                writer.finish(verdict)
            else:
                writer.fail("the baseline must train.")
                # As the reconciler does with what must not be tried again.
                queue.stop(engine, name)
        release(engine, lease)

    driver = threading.Thread(target=drive, daemon=True)
    driver.start()
    said = monosweep("submit", "tiny.yaml", "--name", name, "--wait")
    driver.join(30)
    if end == "finished":
        assert said.code == 0
        assert f"monosweep report {name}  writes" in said.out
    else:
        refused(said, "the baseline must train.", code=1)


def test_deleting_asks_and_says_what_goes(
    monosweep: Call, at_server: Become, tiny_file: Path
) -> None:
    at_server("ada")
    monosweep("submit", "tiny.yaml", "--name", "gone")
    refused(monosweep("delete", "gone"), "Say it with: monosweep delete gone --yes")
    said = monosweep("delete", "gone", "--yes")
    assert (said.code, said.out) == (0, "")
    assert said.message == "Deleted the sweep gone: 0 trials, files. There is no verdict yet."
    refused(monosweep("status", "gone"), "'gone'")


def test_logs(
    running: Any,
    monosweep: Call,
    at_server: Become,
    tiny_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_server("ada")
    monosweep("submit", "tiny.yaml", "--name", "told")
    entry = queue.entry(running.ledger.engine, "told")
    assert entry is not None
    queue.record_start(running.ledger.engine, entry, "told-1")
    said = monosweep("logs", "told", "--lines", "2")
    assert (said.code, said.err) == (0, "")
    assert said.out == "told-1 [bold]line[/bold] 0\ntold-1 [bold]line[/bold] 1\n"
    # Piped, a line stays one, however long: so that it can be searched for.
    long = "[long] " + "word " * 100
    monkeypatch.setattr(type(running.jobs), "log", lambda *_: f"{long}\n{long}")
    assert monosweep("logs", "told").out == f"{long}\n{long}\n"


def test_what_is_out_of_range_is_told_by_the_options_name(
    monosweep: Call, at_server: Become, tiny_file: Path
) -> None:
    at_server("ada")
    for words in (["logs", "told", "--lines", "20000"], ["submit", "tiny.yaml", "--priority=101"]):
        said = monosweep(*words)
        assert said.code == 2
        assert f"Invalid value for '{words[2].partition('=')[0]}'" in said.message


def test_what_is_said_to_who_leaves_names_the_server(
    running: Any, monosweep: Call, monkeypatch: pytest.MonkeyPatch, tiny_file: Path
) -> None:
    parting: list[str] = []
    monkeypatch.setattr("service.stopping.part_with", parting.append)
    monkeypatch.setattr("service.client.Server.follow", lambda *_: {**_OVER, "name": "left"})
    monkeypatch.setenv("MONOSWEEP_TOKEN", running.tokens["ada"])
    for words in (["submit", "tiny.yaml", "--name", "left"], ["stop", "left"], ["watch", "left"]):
        monosweep(*words, "--server", running.url)
        assert parting[-1].endswith(f"monosweep status left --server {running.url}"), words


@pytest.mark.parametrize("words", [["submit", "quickstart"], ["logs", "tiny"]])
def test_what_needs_a_server_says_so(monosweep: Call, words: list[str]) -> None:
    refused(monosweep(*words), "found none named. Name it: --server URL, or MONOSWEEP_SERVER")


@pytest.mark.parametrize("words", [["importance"], ["interpret", "0"], ["reproduce", "0"]])
def test_what_reads_this_homes_ledger_answers_for_no_server(
    running: Any, monosweep: Call, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    command = [words[0], "drawn", *words[1:]]
    # This home has one of that name as well.
    here(running, monkeypatch)
    monkeypatch.setenv("MONOSWEEP_SERVER", "https://me:hunter2@sweeps.example")
    said = monosweep(*command)
    refused(
        said,
        f"{words[0]} must be asked of this home",
        "sweeps.example (MONOSWEEP_SERVER)",
        f"MONOSWEEP_SERVER= monosweep {' '.join(command)}",
        "monosweep export drawn --output DIR",
    )
    assert "hunter2" not in said.err
    # Set to nothing, it names none.
    monkeypatch.setenv("MONOSWEEP_SERVER", "")
    refused(monosweep(words[0], "gone", *words[1:]), "found only: drawn")


def test_stopping_without_a_server_and_a_driver(
    running: Any, monosweep: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    here(running, monkeypatch)
    refused(monosweep("stop", "drawn"), "found none at work on drawn (finished)")
    refused(monosweep("stop", "drawn", "--server", ""), "found none at work on drawn (finished)")
