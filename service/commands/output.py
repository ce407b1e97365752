"""Standard output on a disk that is full."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from service.errors import OutputError

# How a disk says that it takes no more.
_FULL = (errno.ENOSPC, errno.EDQUOT)


class _Output:
    """A stream whose disk may be full; all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or a part of it."""
        with _in_words():
            return self._stream.write(text)

    def flush(self) -> None:
        """Write what is left in the buffer."""
        with _in_words():
            self._stream.flush()


@contextmanager
def telling_of_a_full_disk() -> Iterator[None]:
    """Have what is printed meanwhile fail by an error of ours where its disk is full.

    Raises:
        OutputError: If it is.
    """
    stream = sys.stdout
    # Whoever gave the command may have closed it.
    if stream is None:
        yield
        return
    sys.stdout = _Output(stream)
    try:
        yield
    finally:
        sys.stdout = stream
        # Not at the interpreter's end, which tells of a failure by a traceback.
        with _in_words(), _for_the_last_time(stream):
            stream.flush()


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise OutputError(
            f"Standard output must take what is printed, found: {error.strerror}. Make room, or "
            "write it elsewhere. Nothing but what was to be printed is lost."
        ) from error


@contextmanager
def _for_the_last_time(stream: TextIO) -> Iterator[None]:
    """What fails now is not tried again; whoever has stopped reading is not told."""
    try:
        yield
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if error.errno != errno.EPIPE:
            raise
