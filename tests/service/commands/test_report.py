"""``monosweep report`` as a user meets it."""

import gc
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from service import cli
from service.home import Home
from service.ledger import Writer

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def monosweep(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Call:
    """``monosweep(home, "report", "drawn")``: exit code and both streams."""

    def call(home: Home, *words: str) -> tuple[int, str, str]:
        monkeypatch.setenv("MONOSWEEP_HOME", str(home.path))
        monkeypatch.setattr(sys, "argv", ["monosweep", *words])
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


def test_it_prints_where_the_page_is(monosweep: Call, finished_home: Home) -> None:
    page = finished_home.path / "reports" / "drawn.html"
    assert monosweep(finished_home, "report", "drawn") == (0, f"{page}\n", "")
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert gc.isenabled()


def test_a_sweep_that_is_not_there(monosweep: Call, finished_home: Home) -> None:
    code, out, err = monosweep(finished_home, "report", "other")
    assert (code, out) == (2, "")
    assert "there must be a sweep named 'other' in the ledger, found only: drawn" in err


def test_a_home_without_a_ledger(monosweep: Call, home: Home) -> None:
    code, out, err = monosweep(home, "report", "drawn")
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    assert not home.path.exists()


def test_only_an_earlier_page_is_written_over(
    monosweep: Call, tiny_writer: Writer, home: Home, tmp_path: Path
) -> None:
    mine = tmp_path / "sweep.yaml"
    page = b'<p class="kicker">monosweep report</p>'
    for content in (b"name: tiny\n", b"", b"Run monosweep report tiny.\n" + page):
        mine.write_bytes(content)
        code, out, err = monosweep(home, "report", "tiny", "--output", "sweep.yaml")
        assert (code, out, mine.read_bytes()) == (2, "", content)
        assert "found sweep.yaml, which is neither. Name another." in " ".join(err.split())
    for _ in range(2):
        assert monosweep(home, "report", "tiny", "--output", "page.html")[0] == 0


def test_written_where_told(
    monosweep: Call, tiny_writer: Writer, home: Home, tmp_path: Path
) -> None:
    assert monosweep(home, "report", "tiny", "--output", "mine.html") == (0, "mine.html\n", "")
    assert "tiny: No verdict yet" in (tmp_path / "mine.html").read_text()
    (tmp_path / "file").write_text("")
    code, out, err = monosweep(home, "report", "tiny", "--output", "file/page.html")
    assert (code, out) == (2, "")
    assert "--output must be a file that can be written" in err
