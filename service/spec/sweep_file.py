"""The text of a sweep file as plain data, with the line of every key.

The text is YAML 1.2 with its core schema: ``1e-3`` is a number, ``off`` and ``010`` are what they
look like (a word, ten). Nothing in a file is ever executed or repeated: tags, anchors and aliases
are refused, and so are duplicate keys, several documents and numbers that are not finite.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from service.errors import Problem, SpecError
from service.spec.yaml_reader import Reader, RefusedError
from service.spec.yaml_values import KeyPath, printable

MAX_BYTES = 64 * 1024  # real ones have 2 kB; the slowest of this size is read in a second


@dataclass(frozen=True)
class LocatedData:
    """What a sweep file says, and where.

    Attributes:
        data: The file's mapping, of plain values. What ``problems`` names stands in it too, as far
            as it could be read, so that the rest can still be checked.
        lines: The line of each key and list item, from 1.
        problems: What YAML allows and a sweep file does not, in the order of the file.
        refused: The paths that ``problems`` are about.
    """

    data: dict[str, Any]
    lines: dict[KeyPath, int]
    problems: tuple[Problem, ...]
    refused: frozenset[KeyPath]

    def line(self, path: KeyPath) -> int:
        """Line of the key at ``path``; where it is not in the file, of what would hold it."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]


def read_text(path: Path) -> str:
    """Text of the file at ``path``.

    Raises:
        FileNotFoundError: If there is none.
        SpecError: If it cannot be read, is too large or is not UTF-8.
    """
    where = printable(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except IsADirectoryError as error:
        raise SpecError(
            f"A sweep must be a file, found a folder ({where}). Name a file in it."
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SpecError(
            f"A sweep file must be readable, found: {reason} ({where}). "
            "Check the path and its permissions."
        ) from error
    if len(content) > MAX_BYTES:
        raise SpecError(_too_large(where))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SpecError(
            f"A sweep file must be UTF-8 text, found the byte 0x{content[error.start]:02x} "
            f"({where}, line {line}). Save it as UTF-8."
        ) from error


def locate(text: str, *, origin: str) -> LocatedData:
    """The data of a sweep file's ``text``, with lines.

    Args:
        text: YAML 1.2.
        origin: What to call the text in messages, such as its path.

    Raises:
        SpecError: If the text is too large, no YAML, or anything but one mapping.
    """
    if len(text) > MAX_BYTES:
        raise SpecError(_too_large(origin))
    yaml = YAML(typ="safe", pure=True)
    reader = Reader()
    try:
        # ruamel's parser is lazy and hands out events without recursion: Reader stops it early
        data = reader.document(yaml.parse(text.removeprefix("\ufeff")))
    except RefusedError as error:
        raise SpecError.of(origin, [*reader.problems, error.problem]) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise _syntax_error(origin, str(error.problem or error.context), line) from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        character = error.character if isinstance(error.character, int) else ord(error.character)
        raise _syntax_error(
            origin, f"a character that YAML does not allow, U+{character:04X}", line
        ) from error
    except (YAMLError, ValueError, OverflowError) as error:
        # ruamel's scanner does not guard "\UFFFFFFFF" or a version of 5000 digits, nor say where
        last_key = max(reader.lines.values())
        raise _syntax_error(origin, "an escape or version out of range", last_key) from error
    return LocatedData(data, reader.lines, tuple(reader.problems), frozenset(reader.refused))


def _too_large(origin: str) -> str:
    return (
        f"A sweep file must be at most {MAX_BYTES // 1024} kB, found more ({origin}). "
        "Check that this is the file you mean."
    )


def _syntax_error(origin: str, reason: str, line: int) -> SpecError:
    found = printable(reason).removeprefix("found ")
    message = (
        f"A sweep file must be YAML, found: {found} (line {line}). "
        "Mend this line or the one before it."
    )
    return SpecError.of(origin, [Problem(message, "", line)])
