"""The map of the house names every module once, below the folder that it lies in."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "house.md").read_text(encoding="utf-8")
PACKAGES = ("search_spaces", "service", "trainers")


def _named() -> dict[str, list[str]]:
    """The modules of each folder, as the map has them, in its order."""
    found: dict[str, list[str]] = {}
    folder = ""
    for line in TEXT.splitlines():
        if heading := re.fullmatch(r"##+ `(.+)/`", line):
            folder = heading[1]
        elif row := re.match(r"\| `(\w+)` \| \S", line):
            found.setdefault(folder, []).append(row[1])
    return found


NAMED = _named()


def _folders() -> list[str]:
    """Every folder with modules in it."""
    files = (path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
    return sorted({path.parent.relative_to(ROOT).as_posix() for path in files})


@pytest.mark.parametrize("folder", _folders())
def test_every_module_of_a_folder_is_named_once(folder: str) -> None:
    there = {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__"}
    named = NAMED.get(folder, [])
    assert set(named) == there, "docs/house.md must say in a few words what they are"
    assert len(named) == len(set(named))
