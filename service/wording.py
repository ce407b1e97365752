"""How several things are listed in a sentence."""

from collections.abc import Iterable


def listed(words: Iterable[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``; empty of none.

    Args:
        words: What is listed.
        last: The word before the last one.
    """
    *first, end = [*words] or [""]
    return f"{', '.join(first)} {last} {end}" if first else end
