"""A server's own pages as somebody uses them: a real browser, a real server, a real Ray head."""

import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from loopback import HOST, free_port, is_listening

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from ray_head import CLIENT, RayHead
from shell import FREE, TINY, Shell, wait_until

pytestmark = pytest.mark.long

WIDTHS = (400, 1280, 1920)
PATIENCE_MS = 240_000
# Long enough to be stopped, with a checkpoint each second.
TEXT = TINY.replace("SPACE", FREE)
for old, new in {
    "num_steps: 512": "num_steps: 6144",
    "learning_rate: 0.02": "learning_rate: 0.005",
    "max_concurrent: 1": "max_concurrent: 1, checkpoint_s: 1",
}.items():
    TEXT = TEXT.replace(old, new)


@dataclass(frozen=True)
class Served:
    """A server with a cluster.

    Attributes:
        address: Where its pages begin.
        token: Of somebody who submits.
        shell: Of somebody on the server's machine.
    """

    address: str
    token: str
    shell: Shell


@pytest.fixture(scope="module")
def served(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    shell = Shell(tmp_path_factory.mktemp("served") / "home", CLIENT)
    token = shell.run("token", "create", "--name", "ada", "--role", "submitter").stdout.strip()
    port = free_port()
    with closing(RayHead(shell.environment(), num_cpus=1)) as head:
        server = shell.start("serve", "--port", str(port), "--ray", head.address)
        try:
            wait_until(lambda: is_listening(HOST, port))
            yield Served(f"http://{HOST}:{port}", token, shell)
        finally:
            server.process.terminate()
            server.ends()


def log_in(page: Any, served: Served) -> None:
    page.get_by_label("Token").fill(served.token)
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("ada, submitter").wait_for()


def until(page: Any, part: str, words: str) -> None:
    """Wait until a part of the page says so, without loading it again."""
    page.evaluate("window.isTheSame = true")
    page.locator(part, has_text=words).first.wait_for(timeout=PATIENCE_MS)
    assert page.evaluate("window.isTheSame"), "the page was loaded again"


@pytest.mark.timeout(900)
def test_a_sweep_from_its_submission_to_its_verdict(visit: Any, served: Served) -> None:
    seen = visit(f"{served.address}/submit")
    page = seen.page
    assert page.url == f"{served.address}/login?next=%2Fsubmit"
    log_in(page, served)
    assert page.url == f"{served.address}/submit"
    page.get_by_label("Sweep file").fill(TEXT)
    seen.keep("server-submit")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/sweeps/tiny")
    until(page, "#stage", "running")
    until(page, "#facts", "running")
    seen.keep("server-running")
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("stopping").or_(page.get_by_text("stopped")).first.wait_for()
    until(page, "#stage", "stopped")
    page.get_by_role("link", name="Log of its driver").click()
    until(page, "#log", "monosweep resume tiny")
    seen.keep("server-log")
    page.get_by_role("link", name="tiny").click()
    page.get_by_role("button", name="Resume").click()
    until(page, "#stage", "running")
    until(page, "#progress", "2 of 4")
    until(page, "#stage", "finished")
    until(page, "#verdict", served.shell.json("best", "tiny")["sentence"])
    assert page.get_by_role("button", name="Stop").count() == 0
    seen.keep("server-finished")
    page.get_by_role("link", name="Sweeps", exact=True).click()
    row = page.get_by_role("row", name="tiny")
    assert row.get_by_text("4 of 4").is_visible()
    assert row.get_by_text("finished").is_visible()
    assert seen.errors == []
    assert seen.hosts == {HOST}


def test_a_files_mistakes_lead_to_their_lines(visit: Any, served: Served) -> None:
    seen = visit(f"{served.address}/submit")
    page = seen.page
    log_in(page, served)
    page.get_by_label("Sweep file").fill(TEXT.replace("num_trials: 4", "num_trials: -4"))
    page.get_by_role("button", name="Submit").click()
    assert page.get_by_role("alert").is_visible()
    assert page.locator(".gutter .wrong").inner_text() == "8"
    page.get_by_role("link", name="Line 8").click()
    selected = page.evaluate(
        "(({value, selectionStart, selectionEnd}) => value.slice(selectionStart, selectionEnd))"
        "(document.activeElement)"
    )
    assert selected == "search: {num_trials: -4}"
    seen.keep("server-mistakes")
    # The browser's own word on the answer's status.
    assert [one for one in seen.errors if "status of 422" not in one] == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_their_fields_are_labelled(
    visit: Any, served: Served, width: int, scheme: str
) -> None:
    seen = visit(f"{served.address}/", width)
    page = seen.page
    page.emulate_media(color_scheme=scheme)
    log_in(page, served)
    for path in ("/", "/submit", "/sweeps/tiny", "/sweeps/tiny/log"):
        page.goto(f"{served.address}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        unnamed = (
            "[...document.querySelectorAll('input:not([type=hidden]), select, textarea')]"
            ".filter((one) => !one.labels.length).length"
        )
        assert page.evaluate(unnamed) == 0, path
        assert page.locator("h1").count() == 1
        seen.keep(f"server{path.replace('/', '-')}-{scheme}")
    assert seen.errors == []


def test_a_browser_that_runs_no_programs_is_enough(browser: Any, served: Served) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{served.address}/sweeps/tiny")
    log_in(page, served)
    assert page.url == f"{served.address}/sweeps/tiny"
    page.get_by_role("link", name="Load it again").click()
    page.get_by_role("link", name="Submit").click()
    page.get_by_label("Sweep file").fill("name: x")
    page.get_by_role("button", name="Submit").click()
    assert page.get_by_text("It was not submitted").is_visible()
    assert page.get_by_label("Sweep file").input_value() == "name: x"
    page.get_by_role("button", name="Log out").click()
    assert page.get_by_label("Token").is_visible()
    page.context.close()
