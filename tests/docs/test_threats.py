"""The threat model names tests that exist, at least one for each of its lines."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
TEXT = (TESTS.parent / "docs" / "threats.md").read_text()
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
ROWS = [line for line in TEXT.splitlines() if line.startswith("|")][2:]


def _tests(path: Path) -> set[str]:
    """Names of the test functions and methods in a file."""
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize("path", sorted({path for path, _ in NAMED.findall(TEXT)}))
def test_every_test_that_it_names_is_there(path: str) -> None:
    named = {name for where, name in NAMED.findall(TEXT) if where == path}
    assert named - _tests(TESTS / path) == set()


def test_every_line_names_one() -> None:
    assert len(ROWS) > 20
    assert [row for row in ROWS if not NAMED.search(row.split(" | ")[-1])] == []


def test_nothing_else_looks_like_a_test() -> None:
    assert TEXT.count("::") == len(NAMED.findall(TEXT))
