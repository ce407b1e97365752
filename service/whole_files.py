"""Files for whoever gave a command: all of them whole, or none."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from service.errors import UserError


def write_whole(writers: Mapping[Path, Callable[[BinaryIO], object]], kind: str) -> list[Path]:
    """Write files; none of them is there before all are whole.

    Args:
        writers: Each writes the file at a path. What one raises leaves no file behind.
        kind: What ``--output`` names, in messages: a file, a folder.

    Returns:
        The files written.

    Raises:
        UserError: If one cannot be written.
    """
    # One name for all tries: what one of them left is written over by the next.
    partials = {path: path.with_name(f"{path.name}.partial") for path in writers}
    try:
        for path, write in writers.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with partials[path].open("wb") as file:
                write(file)
        return [partial.replace(path) for path, partial in partials.items()]
    except OSError as error:
        raise UserError(
            f"--output must be a {kind} that can be written, found: {error}. Name another."
        ) from error
    finally:
        for partial in partials.values():
            # Where nothing can be written, that has been told.
            with suppress(OSError):
                partial.unlink()
