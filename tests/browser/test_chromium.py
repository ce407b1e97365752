"""The browser fixture tells of errors and requests, so that pages can be held to have none."""

from pathlib import Path
from typing import Any


def page(folder: Path, body: str) -> str:
    path = folder / "page.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><title>x</title>{body}")
    return path.as_uri()


def test_a_page_of_its_own_has_neither(visit: Any, tmp_path: Path) -> None:
    seen = visit(page(tmp_path, "<p>here</p><script>console.log('fine')</script>"))
    assert seen.page.get_by_text("here").is_visible()
    assert (seen.errors, seen.requests) == ([], [])


def test_errors_and_requests_are_told(visit: Any, tmp_path: Path) -> None:
    # Port 9 is "discard", which nobody serves.
    body = "<img src='http://127.0.0.1:9/x.png'><script>throw new Error('oh no')</script>"
    seen = visit(page(tmp_path, body))
    assert any("oh no" in error for error in seen.errors)
    assert seen.hosts == {"127.0.0.1"}
