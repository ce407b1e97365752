"""Machine code that one process compiled, kept on its machine for the others.

It lies where Python keeps what it compiled of this program (``__pycache__``, or below
``PYTHONPYCACHEPREFIX``): who can write there can change what Python runs anyway. Where it cannot be
written each process compiles.
"""

import importlib.util
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from uuid import uuid4

DIGEST_BYTES = 16


def kept_or_compiled(name: str, compiled: Callable[[], bytes]) -> bytes:
    """The code of this name, kept if it was not and can be.

    Nothing is kept where Python may not keep what it compiles (``PYTHONDONTWRITEBYTECODE``).

    Args:
        name: Changes with all that the code depends on.
        compiled: Makes it.
    """
    path = Path(importlib.util.cache_from_source(__file__)).with_name(f"{name}.o")
    code = _read(path)
    if code is None:
        code = compiled()
        if not sys.dont_write_bytecode:
            _keep(code, path)
    return code


def _read(path: Path) -> bytes | None:
    """What was kept here, if it is whole: half of it would end the process that runs it."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, code = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
    return code if digest == _digest(path.name, code) else None


def _keep(code: bytes, path: Path) -> None:
    """Keep it whole or not at all; a disk may be full, or the folder not for us to write to."""
    # A name of its own: two processes may do this at once.
    partial = path.with_name(f"{path.name}.{uuid4().hex}.partial")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Nobody else may write it, whatever new files are open to here.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(partial, flags, 0o644), "wb") as file:
                file.write(_digest(path.name, code) + code)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def _digest(name: str, code: bytes) -> bytes:
    return blake2b(name.encode() + code, digest_size=DIGEST_BYTES).digest()
