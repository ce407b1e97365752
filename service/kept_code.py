"""Machine code that one process compiled, kept on its machine for the others.

It lies in ``__pycache__``, where Python keeps what it compiled of this program, or where that
cannot be written in the user's own cache. It is a program like any other: run only if nobody but
the user and the owner of this program could write it, and if it is whole.
"""

import importlib.util
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

DIGEST_BYTES = 16


def kept_or_compiled(name: str, compiled: Callable[[], bytes]) -> bytes:
    """The code of this name, kept if it was not and can be.

    Nothing is kept where Python may not keep what it compiles (``PYTHONDONTWRITEBYTECODE``).

    Args:
        name: Tells all that the code depends on.
        compiled: Makes it.
    """
    paths = [place / f"{name}.o" for place in _places()]
    code = next(filter(None, map(read_code, paths)), None)
    if code is None:
        code = compiled()
        if not sys.dont_write_bytecode:
            any(keep_code(code, path) for path in paths)
    return code


def _places() -> Iterator[Path]:
    """Folders to keep it in, the first one first."""
    yield Path(importlib.util.cache_from_source(__file__)).parent
    with suppress(RuntimeError):  # Not everybody has a home.
        yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "monosweep"


def read_code(path: Path) -> bytes | None:
    """The machine code in a file, or None if it may not be run or is none.

    Half of it would end the process that runs it.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            data = file.read()
        owners = {os.geteuid(), Path(__file__).stat().st_uid}
    except OSError:
        return None
    if status.st_uid not in owners or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return None
    digest, code = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
    return code if digest == _digest(code) else None


def keep_code(code: bytes, path: Path) -> bool:
    """Keep machine code for other processes, whole or not at all.

    Returns:
        Whether it is kept: a disk may be full, or not for us to write.
    """
    # Two processes may do this at once.
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(_digest(code) + code)
        partial.chmod(0o644)
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        return False
    return True


def _digest(code: bytes) -> bytes:
    return blake2b(code, digest_size=DIGEST_BYTES).digest()
