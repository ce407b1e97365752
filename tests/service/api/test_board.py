"""What was read a moment ago is read once for all who ask."""

import asyncio
import threading

import pytest

from service import status
from service.api.board import Board, Looks
from service.ledger import Writer


def test_all_who_ask_meanwhile_share_one_reading() -> None:
    now, reads = 0.0, []
    opened = threading.Event()

    def read(key: str) -> int:
        opened.wait(10)
        reads.append(key)
        return len(reads)

    async def story() -> None:
        nonlocal now
        looks = Looks(read, 1.0, lambda: now)
        asked = [asyncio.ensure_future(looks.at("a")) for _ in range(20)]
        await asyncio.sleep(0)
        # Who leaves does not take it from the others.
        asked[0].cancel()
        opened.set()
        assert await asyncio.gather(*asked[1:]) == [1] * 19
        now = 0.9
        assert await looks.at("a") == 1
        now = 1.0
        assert await looks.at("a") == 2
        looks.forget("a")
        assert await looks.at("a") == 3
        assert await looks.at("b") == 4

    asyncio.run(story())
    assert reads == ["a", "a", "a", "b"]


def test_what_was_changed_while_it_was_read_is_read_again() -> None:
    value = 1
    reading, go_on = threading.Event(), threading.Event()

    def read(_: None) -> int:
        found = value
        reading.set()
        go_on.wait(10)
        return found

    async def story() -> None:
        nonlocal value
        looks = Looks(read, 100.0)
        before = asyncio.ensure_future(looks.at(None))
        await asyncio.to_thread(reading.wait)
        value = 2
        looks.forget(None)
        after = asyncio.ensure_future(looks.at(None))
        await asyncio.sleep(0)
        go_on.set()
        assert await before == 1
        assert await after == 2
        assert await looks.at(None) == 2

    asyncio.run(story())


def test_what_failed_is_asked_for_again() -> None:
    results = [ValueError("away"), 7]

    def read(_: str) -> int:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    async def story() -> None:
        looks = Looks(read, 100.0)
        with pytest.raises(ValueError, match="away"):
            await looks.at("a")
        assert await looks.at("a") == 7

    asyncio.run(story())


def test_what_takes_long_is_read_less_often() -> None:
    now, reads = 0.0, 0

    def read(_: str) -> int:
        nonlocal now, reads
        now += 2.0
        reads += 1
        return reads

    async def story() -> None:
        nonlocal now
        looks = Looks(read, 1.0, lambda: now)
        assert await looks.at("a") == 1
        now += 9.0
        assert await looks.at("a") == 1
        now += 1.0
        assert await looks.at("a") == 2

    asyncio.run(story())


def test_that_a_sweep_waits_is_told_though_nothing_was_written_since(
    tiny_writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = Board(tiny_writer.ledger, None)
    tiny_writer.begin_attempt("baseline-0")

    def waits() -> bool:
        board.forget("tiny")
        return bool(asyncio.run(board.status("tiny"))["waits_for_worker"])

    assert not waits()
    # As if that long had gone by.
    monkeypatch.setattr(status, "WORKER_S", 0.0)
    assert waits()
