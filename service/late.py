"""Names of a package whose modules are imported when they are asked for.

So a command imports what it needs and no more, and answers quickly.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def importer(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's ``__getattr__``.

    Args:
        package: Its ``__name__``.
        homes: The module below it that each name is in. None has the name of what is in it: once
            it was imported it would stand in its place.
    """
    assert not homes.keys() & set(homes.values()), f"{package}: a module is called like a name"

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return get
