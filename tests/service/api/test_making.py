"""What is made for callers: one thing at a time, in turn, and for nobody who has left."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.api.making import Maker
from service.api.problems import NotMadeError
from service.home import Home
from service.ledger import Ledger

PATIENCE_S = 20


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for our commands: says its words and its process in a file, and takes a while."""
    path, said = tmp_path / "program", tmp_path / "said.txt"
    path.write_text(f'#!/bin/sh\necho "$5 $$" >> {said}\nexec sleep "${{LONG:-0.1}}"\n')
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))
    return said


async def _stays() -> bool:
    return False


def test_who_asks_for_many_things_stands_behind_the_others(
    home: Home, program: Path, tmp_path: Path
) -> None:
    async def all_at_once() -> list[bool]:
        maker = Maker(home)
        asked = [("vera", "v1"), ("vera", "v2"), ("vera", "v3"), ("ann", "a1"), ("ben", "b1")]
        return await asyncio.gather(
            *(maker.make(["x", what], tmp_path, caller=who, has_left=_stays) for who, what in asked)
        )

    assert asyncio.run(all_at_once()) == [True] * 5
    made = [line.split()[0] for line in program.read_text().splitlines()]
    assert made == ["v1", "a1", "b1", "v2", "v3"]


def test_nothing_is_made_on_for_who_has_left(
    live: tuple[Any, str], program: Path, tiny_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, url = live
    served.submit(tiny_text)
    monkeypatch.setenv("LONG", "60")
    report = f"{url}/v1/sweeps/tiny/report"
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(report, headers=served.bearing("vera"), timeout=1.0)
    process = int(program.read_text().split()[1])
    until = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    # The next one does not wait for it.
    monkeypatch.setenv("LONG", "0")
    answer = httpx.get(report, headers=served.bearing("ann"), timeout=PATIENCE_S)
    assert answer.status_code == 500
    while served.app.state.backing.calls:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert len(program.read_text().splitlines()) == 2


@pytest.mark.parametrize("by_file", [True, False])
def test_what_is_made_is_made_of_the_servers_ledger(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_file: bool
) -> None:
    """Wherever the server was told of it: by a file in every deployment that we ship."""
    monkeypatch.delenv("MONOSWEEP_LEDGER_URL", raising=False)
    if by_file:
        file = tmp_path / "ledger_url"
        file.write_text(home.ledger_url)
        monkeypatch.setenv("MONOSWEEP_LEDGER_URL_FILE", str(file))
    Ledger(home.ledger_url).close()
    making = Maker(home).make(["best", "gone"], tmp_path, caller="vera", has_left=_stays)
    with pytest.raises(NotMadeError, match="a sweep named 'gone' in the ledger, found none"):
        asyncio.run(making)
