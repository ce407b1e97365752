"""The words that name sweeps and tokens: good in a path, a URL, a table and a shell as they are."""

import re

SIMPLE_WORD = "a simple word: letters, digits, - and _, a letter or digit first, at most 64 of them"
# As JSON Schema has it.
PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
_PATTERN = re.compile(PATTERN.strip("^$"))


def is_simple_word(text: str) -> bool:
    """Whether it is one, and nothing besides."""
    return _PATTERN.fullmatch(text) is not None
