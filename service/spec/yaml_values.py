"""Words to values and back, by the core schema of YAML 1.2 and nothing older.

Unquoted, ``1e-3`` is a number and ``010`` is ten; ``off``, ``yes`` and ``1_000`` are text.

Source: YAML 1.2.2, section 10.3.2.
"""

import math
import re
from collections.abc import Mapping, Sequence

KeyPath = tuple[str | int, ...]
"""Keys and list positions that lead to a value, from the top of a file."""

_SIMPLE_KEY = re.compile(r"[\w-]{1,64}", re.ASCII)
_NULLS = {"", "~", "null", "Null", "NULL"}
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_PREFIXED = re.compile(r"0o[0-7]{1,64}|0x[0-9a-fA-F]{1,64}")
_SIMPLE_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def plain_scalar(word: str) -> str | float | bool | None:
    """The value of an unquoted ``word``."""
    if word in _NULLS:
        return None
    if word in _BOOLS:
        return _BOOLS[word]
    number = number_of(word)
    return word if number is None else number


def number_of(word: str) -> int | float | None:
    """The number that ``word`` is, infinite where it is too large to hold; None if it is none."""
    if _FLOAT.fullmatch(word):
        value = float(word)
        return int(word) if math.isfinite(value) and _DECIMAL.fullmatch(word) else value
    if _PREFIXED.fullmatch(word):
        return int(word[2:], 16 if word[1] == "x" else 8)
    if _NOT_FINITE.fullmatch(word):
        return float(word.replace(".", ""))
    return None


def flow(value: object) -> str:
    """A value as one line of YAML, with what a terminal would act on escaped."""
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case int():
            return str(value) if abs(value) < 10**60 else f"{value:#x}"
        case str():
            is_plain = _SIMPLE_WORD.fullmatch(value) and plain_scalar(value) == value
            return value if is_plain else _quoted(value)
        case Mapping():
            return "{" + ", ".join(f"{flow(key)}: {flow(value[key])}" for key in value) + "}"
        case Sequence():
            return "[" + ", ".join(flow(item) for item in value) + "]"
        case _:
            return repr(value)


def _quoted(text: str) -> str:
    escaped = text.encode("unicode_escape", "surrogatepass").decode("ascii")
    return '"' + escaped.replace('"', '\\"') + '"'


def dotted(path: KeyPath) -> str:
    """Path as people write it: ``search_space.learning_rate.float[1]``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            key = step if _SIMPLE_KEY.fullmatch(step) else clipped(step)
            text += f".{key}" if text else key
    return text


def printable(text: str) -> str:
    """Text with what a terminal would act on escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def clipped(text: str) -> str:
    """Text in quotes, with what a terminal would act on escaped, at most 60 characters of it."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")
