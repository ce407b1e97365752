"""What can happen to a file: cut short, bits flipped, gone, of another version, another's."""

import random
import re
from collections.abc import Callable

PAGE = 4096

# New bytes of a file, or None where it is gone.
Mutation = Callable[[random.Random, bytes], bytes | None]


def cut(rng: random.Random, data: bytes) -> bytes:
    """An end that was never written."""
    return data[: rng.randrange(len(data))]


def emptied(_rng: random.Random, _data: bytes) -> bytes:
    """As a full disk leaves it."""
    return b""


def one_bit(rng: random.Random, data: bytes) -> bytes:
    """One bit, where something is written: most of a database is empty."""
    return _flipped(data, [rng.choice(_written(data))], rng)


def some_bits(rng: random.Random, data: bytes) -> bytes:
    """Several bits all over."""
    written = _written(data)
    return _flipped(data, [rng.choice(written) for _ in range(rng.randint(2, 64))], rng)


def a_digit(rng: random.Random, data: bytes) -> bytes:
    """Another digit in a number that was written as text: nothing else notices."""
    places = [found.start() for found in re.finditer(rb"(?<=[\d.])\d(?=\d)", data)]
    if not places:
        return one_bit(rng, data)
    place = rng.choice(places)
    digit = b"0123456789".replace(data[place : place + 1], b"")[rng.randrange(9)]
    return data[:place] + bytes([digit]) + data[place + 1 :]


def a_page(rng: random.Random, data: bytes) -> bytes:
    """A page that was never written."""
    start = PAGE * rng.randrange(-(-len(data) // PAGE))
    return data[:start] + bytes(len(data[start : start + PAGE])) + data[start + PAGE :]


def garbage(rng: random.Random, data: bytes) -> bytes:
    """More than was written."""
    return data + rng.randbytes(rng.randint(1, 5000))


def gone(_rng: random.Random, _data: bytes) -> None:
    """Somebody removed it."""
    return


ANY_FILE: tuple[Mutation, ...] = (cut, emptied, one_bit, some_bits, a_digit, a_page, garbage, gone)


def _written(data: bytes) -> list[int]:
    return [place for place, byte in enumerate(data) if byte] or [0]


def _flipped(data: bytes, places: list[int], rng: random.Random) -> bytes:
    changed = bytearray(data)
    for place in places:
        changed[place] ^= 1 << rng.randrange(8)
    return bytes(changed)
